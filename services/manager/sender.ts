/**
 * Departures: how jobs leave for workers.
 *
 * Decided here: what leaves in one turn of the event loop leaves at its end;
 * a job that is alone as a message of its own, those for one worker in a bundle,
 * if that worker takes them. Not decided here: which worker.
 */

import { Outbox } from "../../mesh/link/batcher.js";
import { type BundleEntry, encodeBundle, MAX_BUNDLED_BYTES, mostBytes } from "../../mesh/wire/bundle.js";
import { encodeJobHeaders, encodeJobsHeaders, encodeRevocation } from "../../mesh/wire/headers.js";
import type { DispatcherParts } from "./jobs/dispatcher-parts.js";
import type { Attempt } from "./jobs/job.js";
import type { RosterWorker } from "./jobs/workers.js";

export class Departures {
  readonly #parts: DispatcherParts;
  readonly #jobSubject: string;
  readonly #outbox: Outbox<Attempt>;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
    this.#jobSubject = parts.subjects.job(parts.pool);
    this.#outbox = new Outbox(parts.bus, {
      alone: (subject, attempt) => this.#sendOne(subject, attempt),
      together: (subject, attempts) => this.#sendAll(subject, attempts),
      bytesOf: ({ job }) => mostBytes(job.spec),
    });
  }

  /** Whether anything waits for the end of this turn, or has. */
  get waiting(): boolean {
    return this.#outbox.waiting;
  }

  /** The offers that wait for the end of this turn; the caller sends them anew. */
  takeOffers(): readonly Attempt[] {
    return this.#outbox.take(this.#jobSubject);
  }

  /** To one worker, or to whom the broker picks. */
  send(attempt: Attempt, worker: RosterWorker | undefined): void {
    if (worker === undefined) return this.#outbox.add(this.#jobSubject, attempt);
    const subject = `${this.#jobSubject}.${worker.id}`;
    const mayWait = worker.takesBundles && attempt.job.payloadBytes <= MAX_BUNDLED_BYTES;
    if (mayWait) this.#outbox.add(subject, attempt);
    else this.#sendOne(subject, attempt);
  }

  /** Sends what waits for the end of the turn now. */
  flush(): void {
    this.#outbox.flush();
  }

  /** Tells workers that a job, or its attempts up to a number, is not wanted any more; after what has left. */
  recall(id: string, upToAttempt?: number): void {
    const { bus, subjects, pool } = this.#parts;
    this.#outbox.flush();
    const headers = upToAttempt === undefined ? undefined : encodeRevocation(upToAttempt);
    bus.publish(subjects.cancel(pool, id), undefined, headers === undefined ? {} : { headers });
  }

  #sendAll(subject: string, attempts: readonly Attempt[]): void {
    if (subject === this.#jobSubject) {
      for (const attempt of attempts) this.#sendOne(subject, attempt);
      return;
    }
    const { bus, inbox } = this.#parts;
    const first = attempts[0] as Attempt;
    const headers = encodeJobsHeaders(attempts.length, bus.runtime.wallNow());
    // should nobody listen there, the broker says so under this one
    first.bundle = attempts;
    bus.publish(subject, encodeBundle(attempts.map(toEntry)), { headers, reply: inbox.subject(first.token) });
  }

  #sendOne(subject: string, attempt: Attempt): void {
    const { id, spec } = attempt.job;
    const { payload, traceparent, tracestate, idempotent } = spec;
    const timeoutMs = leftMs(attempt);
    const headers = encodeJobHeaders({
      jobId: id,
      attempt: attempt.number,
      timeoutMs,
      expiresAt: this.#parts.bus.runtime.wallNow() + timeoutMs,
      offer: true,
      idempotent,
      traceparent,
      tracestate,
    });
    this.#parts.bus.publish(subject, payload, { headers, reply: this.#parts.inbox.subject(attempt.token) });
  }
}

function toEntry(attempt: Attempt): BundleEntry {
  const { token, number, job } = attempt;
  const { payload, traceparent, tracestate } = job.spec;
  return { token, id: job.id, attempt: number, payload, timeoutMs: leftMs(attempt), traceparent, tracestate };
}

function leftMs({ job, sentAt }: Attempt): number {
  return Math.max(1, job.deadlineAt - sentAt);
}
