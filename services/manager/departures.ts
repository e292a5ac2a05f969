/**
 * Departures: how jobs leave for workers.
 *
 * Decided here: a job that leaves alone goes at once, as a message of its own;
 * those that leave for one worker in the same turn of the event loop go in a
 * bundle, if that worker takes them. Not decided here: which worker.
 */
import { type BundleEntry, encodeBundle, MAX_BUNDLED_BYTES } from "../../mesh/bundle.js";
import type { Bus } from "../../mesh/bus.js";
import { encodeJobHeaders, encodeJobsHeaders } from "../../mesh/headers.js";
import type { Inbox } from "../../mesh/inbox.js";
import { Outbox } from "../../mesh/outbox.js";
import type { Attempt } from "./live-job.js";
import type { RosterWorker } from "./roster.js";

/** What it works with. */
export interface DeparturesParts {
  readonly bus: Bus;
  readonly inbox: Inbox;
}

export class Departures {
  readonly #parts: DeparturesParts;
  readonly #jobSubject: string;
  readonly #outbox = new Outbox<Attempt>((subject, attempts) => this.#sendAll(subject, attempts));
  #turn: NodeJS.Immediate | undefined;

  /** @param jobSubject where offers of this pool go; hand-offs go below it */
  constructor(parts: DeparturesParts, jobSubject: string) {
    this.#parts = parts;
    this.#jobSubject = jobSubject;
  }

  /** Whether another job has left in this turn of the event loop; asking counts as leaving. */
  joinTurn(): boolean {
    if (this.#turn !== undefined) return true;
    this.#turn = setImmediate(() => {
      this.#turn = undefined;
    });
    return false;
  }

  /** To one worker, or to whom the broker picks. */
  send(attempt: Attempt, worker: RosterWorker | undefined): void {
    if (worker === undefined) return this.#sendOne(this.#jobSubject, attempt);
    const subject = `${this.#jobSubject}.${worker.id}`;
    const mayWait = worker.takesBundles && attempt.job.payloadBytes <= MAX_BUNDLED_BYTES;
    if (mayWait) this.#outbox.add(subject, attempt);
    else this.#sendOne(subject, attempt);
  }

  /** Lets go at once what waits, so that what is sent next arrives after it. */
  flush(): void {
    this.#outbox.flush();
  }

  #sendAll(subject: string, attempts: readonly Attempt[]): void {
    const [first] = attempts;
    if (attempts.length === 1 && first !== undefined) return this.#sendOne(subject, first);
    const { bus, inbox } = this.#parts;
    const headers = encodeJobsHeaders(attempts.length, Date.now());
    const entries = attempts.map(toEntry);
    bus.publish(subject, encodeBundle(entries), { headers, reply: inbox.bundleSubject });
  }

  #sendOne(subject: string, attempt: Attempt): void {
    const { id, spec } = attempt.job;
    const { payload, traceparent, tracestate, idempotent } = spec;
    const timeoutMs = leftMs(attempt);
    const headers = encodeJobHeaders({
      jobId: id,
      attempt: attempt.number,
      timeoutMs,
      expiresAt: Date.now() + timeoutMs,
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
