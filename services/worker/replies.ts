/**
 * What a worker replies for its jobs, and how it knows that a result has arrived.
 *
 * {@link Replies} builds the headers of a reply and publishes it. {@link KeptReplies}
 * keeps results until a round trip has confirmed them, publishes again after a
 * reconnect what was not confirmed, and resends what a manager misses. Not decided
 * here: what is replied (jobs/), how results are stored (jobs/results.ts).
 */
import type { MsgHdrs } from "nats";
import type { PoolError } from "../../mesh/errors.js";
import type { Bus } from "../../mesh/link/bus.js";
import { Batcher, Confirmer, type UnconfirmedStore } from "../../mesh/link/delivery.js";
import { errorText, writeErrorHeaders } from "../../mesh/wire/error-headers.js";
import { encodeReplyHeaders, type ReplyKind } from "../../mesh/wire/headers.js";
import {
  type BundleEntry,
  encodeBundle,
  encodeResultsHeaders,
  MAX_BUNDLED_BYTES,
  mostBytes,
  payloadLimit,
  resultEntry,
  resultRefusal,
} from "../../mesh/wire/payloads.js";
import { bundleSubject } from "../../mesh/wire/wire-headers.js";
import type { HandlerOutcome } from "./handlers/runner.js";
import type { RefusalPort } from "./jobs/intake.js";
import type { Results } from "./jobs/results.js";
import { type Addressee, type Answerer, type JobOrder, jobKey } from "./jobs/running-job.js";

const EMPTY = new Uint8Array(0);

/** Builds and publishes replies; results of one turn for one manager leave in a bundle. */
export class Replies {
  readonly #bus: Bus;
  readonly #worker: string;
  readonly #free: () => number;
  readonly #batcher: Batcher<BundleEntry>;

  /** @param free the worker's free slots now, for Pool-Free */
  constructor(bus: Bus, worker: string, free: () => number) {
    this.#bus = bus;
    this.#worker = worker;
    this.#free = free;
    this.#batcher = new Batcher<BundleEntry>(bus, {
      bytesOf: mostBytes,
      alone: (inbox, result) => this.#result({ ...result, reply: inbox + result.token }, result.payload),
      together: (inbox, results) => this.#sendResults(inbox, results),
    });
  }

  /** The largest result, in bytes. */
  get maxBytes(): number {
    return payloadLimit(this.#bus);
  }

  accepted(to: Addressee): void {
    this.#publish(to, EMPTY, this.#headers("accepted", to));
  }

  /** A refusal of an offer; `free` is 0 unless the worker has room, and the offer is too old. */
  busy({ id: jobId, attempt, reply }: Addressee, free: number, ageMs?: number): void {
    if (reply === undefined) return;
    const headers = encodeReplyHeaders({ kind: "busy", jobId, attempt, worker: this.#worker, free, ageMs });
    this.#bus.publish(reply, EMPTY, { headers });
  }

  /** An intermediate value. */
  progress(to: Addressee, payload: Uint8Array): void {
    this.#publish(to, payload, this.#headers("progress", to));
  }

  error(to: Addressee, error: PoolError): void {
    this.#publish(to, errorText(error), withError(this.#headers("error", to), error));
  }

  /** A result or an error; a result that is too large becomes an error, one of a bundle waits for the end of the turn. */
  outcome(to: Addressee, outcome: HandlerOutcome): void {
    const sendable = this.sendable(outcome);
    if (!sendable.ok) return this.error(to, sendable.error);
    const { payload } = sendable;
    const { inbox, token, id, attempt } = to;
    if (inbox === undefined || token === undefined || payload.length > MAX_BUNDLED_BYTES) {
      return this.#result(to, payload);
    }
    this.#batcher.add(inbox, resultEntry({ token, id, attempt, payload }));
  }

  /** Sends at once what waits to leave in bundles. */
  flush(): void {
    this.#batcher.flush();
  }

  /** The same outcome, or `payload_too_large` when the broker would not take it. */
  sendable(outcome: HandlerOutcome): HandlerOutcome {
    const error = outcome.ok ? resultRefusal(outcome.payload, this.maxBytes) : undefined;
    return error === undefined ? outcome : { ok: false, error };
  }

  #sendResults(inbox: string, results: readonly BundleEntry[]): void {
    const headers = encodeResultsHeaders(results.length, this.#worker, this.#free());
    this.#bus.publish(bundleSubject(inbox), encodeBundle(results), { headers });
  }

  #result(to: Addressee, payload: Uint8Array): void {
    this.#publish(to, payload, this.#headers("result", to));
  }

  #headers(kind: ReplyKind, to: Addressee, free = this.#free()): MsgHdrs {
    return encodeReplyHeaders({ kind, jobId: to.id, attempt: to.attempt, worker: this.#worker, free });
  }

  #publish(to: Addressee, payload: Uint8Array, headers: MsgHdrs): void {
    if (to.reply !== undefined) this.#bus.publish(to.reply, payload, { headers });
  }
}

/** An error that is about no job: the answer to a control request. */
export function controlErrorReply(worker: string, error: PoolError): { payload: Uint8Array; headers: MsgHdrs } {
  return { payload: errorText(error), headers: withError(encodeReplyHeaders({ kind: "error", worker }), error) };
}

function withError(headers: MsgHdrs, error: PoolError): MsgHdrs {
  writeErrorHeaders(headers, error);
  return headers;
}

/** The replies of the core lane, with results kept until they have arrived. */
export class KeptReplies implements Answerer, RefusalPort, UnconfirmedStore {
  readonly #results: Results;
  readonly #replies: Replies;
  readonly #now: () => number;
  readonly #confirmer: Confirmer;

  constructor(bus: Bus, results: Results, replies: Replies) {
    this.#results = results;
    this.#replies = replies;
    this.#now = bus.runtime.now;
    this.#confirmer = new Confirmer(bus, this);
  }

  get seq(): number {
    return this.#results.seq;
  }

  get unconfirmed(): number {
    return this.#results.unconfirmed;
  }

  accepted(order: JobOrder): void {
    this.#replies.accepted(order);
  }

  progress(order: JobOrder, payload: Uint8Array): void {
    this.#replies.progress(order, payload);
  }

  busy(order: JobOrder, free: number, ageMs?: number): void {
    this.#replies.busy(order, free, ageMs);
  }

  error(to: Addressee, error: PoolError): void {
    this.#replies.error(to, error);
  }

  end(order: JobOrder, outcome: HandlerOutcome, nowMs: number): void {
    this.#replies.outcome(order, outcome);
    if (order.reply === undefined) return;
    this.#results.keep(order, outcome, nowMs);
    this.#confirmer.published();
  }

  /** Publishes the kept results of these submissions again; returns the keys of those it had. */
  resend(keys: ReadonlySet<string>): Set<string> {
    const found = this.#results.findJobs(keys, this.#now());
    for (const kept of found) this.#replies.outcome(kept, kept.outcome);
    return new Set(found.map(({ id, nonce }) => jobKey(id, nonce)));
  }

  confirm(seq: number): void {
    this.#results.confirm(seq, this.#now());
  }

  publishAgain(): void {
    for (const kept of this.#results.allUnconfirmed(this.#now())) this.#replies.outcome(kept, kept.outcome);
  }

  flush(): void {
    this.#replies.flush();
  }

  /** Tries to confirm everything, with a limit in milliseconds. */
  settle(limitMs: number): Promise<void> {
    return this.#confirmer.settle(limitMs);
  }

  stop(): void {
    this.#confirmer.stop();
  }
}
