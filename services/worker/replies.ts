/**
 * Everything that a worker answers: builds the reply's headers and publishes it.
 *
 * Not decided here: what is answered, and what is kept for a second sending.
 */
import type { MsgHdrs } from "nats";
import type { PoolError } from "../../mesh/errors.js";
import { Batcher } from "../../mesh/link/batcher.js";
import type { Bus } from "../../mesh/link/bus.js";
import { type BundleEntry, encodeBundle, MAX_BUNDLED_BYTES, mostBytes } from "../../mesh/wire/bundle.js";
import { errorText, writeErrorHeaders } from "../../mesh/wire/error-headers.js";
import { encodeReplyHeaders, encodeResultsHeaders, type ReplyKind } from "../../mesh/wire/headers.js";
import { payloadLimit, resultRefusal } from "../../mesh/wire/payload-limit.js";
import { bundleSubject, splitReply } from "../../mesh/wire/reply.js";
import type { Ending } from "./handlers/runner.js";
import type { Addressee } from "./jobs/order.js";

const EMPTY = new Uint8Array(0);

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

  /** An intermediate value; one that is too large is dropped, since the job goes on. */
  progress(to: Addressee, payload: Uint8Array): void {
    if (payload.length <= this.maxBytes) this.#publish(to, payload, this.#headers("progress", to));
  }

  error(to: Addressee, error: PoolError): void {
    this.#publish(to, errorText(error), withError(this.#headers("error", to), error));
  }

  /** A result or an error; a result that is too large becomes an error, one of a bundle waits for the end of the turn. */
  ending(to: Addressee, ending: Ending): void {
    const sendable = this.sendable(ending);
    if (!sendable.ok) return this.error(to, sendable.error);
    const { payload } = sendable;
    if (!to.bundled || to.reply === undefined || payload.length > MAX_BUNDLED_BYTES) return this.#result(to, payload);
    const [inbox, token] = splitReply(to.reply);
    const { id, attempt } = to;
    const result = {
      token,
      id,
      nonce: "",
      attempt,
      payload,
      timeoutMs: 0,
      traceparent: undefined,
      tracestate: undefined,
    };
    this.#batcher.add(inbox, result);
  }

  /** Sends at once what waits to leave in bundles. */
  flush(): void {
    this.#batcher.flush();
  }

  /** The same ending, or `payload_too_large` when the broker would not take it. */
  sendable(ending: Ending): Ending {
    const error = ending.ok ? resultRefusal(ending.payload, this.maxBytes) : undefined;
    return error === undefined ? ending : { ok: false, error };
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
