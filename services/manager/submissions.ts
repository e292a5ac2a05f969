/**
 * The NATS door: a message on `pool.P.submit` becomes a job, its outcome the
 * reply. A sender that says `Pool-Offer: 1` hears `accepted` and `progress` too;
 * a plain request hears exactly one reply.
 */
import type { Msg, MsgHdrs } from "nats";
import type { Bus } from "../../mesh/bus.js";
import { writeErrorHeaders } from "../../mesh/error-edges.js";
import { type PoolError, safeMessage, toPoolError } from "../../mesh/errors.js";
import { decodeJobHeaders, encodeReplyHeaders, HEADER, type ReplyKind } from "../../mesh/headers.js";
import type { Outcome } from "../../mesh/job.js";
import { isAnswerable } from "../../mesh/subjects.js";
import { headersOf } from "../../mesh/wire-headers.js";
import type { Pool } from "./pool.js";

const encoder = new TextEncoder();

/**
 * Runs one submission and answers it.
 *
 * @param findPool the pool of the message's subject; may throw a PoolError
 */
export function answerSubmission(bus: Bus, manager: string, msg: Msg, findPool: () => Pool): void {
  if (msg.reply !== "" && !isAnswerable(msg.reply, bus.inboxPrefix)) return;
  const answer = new Answer(bus, manager, msg.reply ?? "");
  try {
    const options = decodeJobHeaders(headersOf(msg));
    const { attempt: _attempt, expiresAt: _expiresAt, offer, ...spec } = options;
    const payload = msg.data.slice();
    const listener = {
      onEnd: (outcome: Outcome) => answer.end(outcome),
      ...(offer
        ? {
            onAccepted: (worker: string) => answer.send("accepted", undefined, worker),
            onProgress: (progress: Uint8Array) => answer.send("progress", progress),
          }
        : {}),
    };
    answer.jobId = findPool().submit(payload, spec, listener);
    if (offer) answer.send("accepted");
  } catch (thrown) {
    answer.fail(toPoolError(thrown));
  }
}

class Answer {
  jobId = "";
  readonly #bus: Bus;
  readonly #manager: string;
  readonly #reply: string;

  constructor(bus: Bus, manager: string, reply: string) {
    this.#bus = bus;
    this.#manager = manager;
    this.#reply = reply;
  }

  send(kind: ReplyKind, payload?: Uint8Array, worker?: string, attempt?: number): void {
    this.#publish(this.#headers(kind, worker, attempt), payload);
  }

  end(outcome: Outcome): void {
    this.jobId = outcome.id;
    if (!outcome.ok) return this.fail(outcome.error, outcome.worker, outcome.attempt);
    const { payload, worker, attempt } = outcome.result;
    this.send("result", payload, worker, attempt);
  }

  fail(error: PoolError, worker = "", attempt = 0): void {
    const headers = this.#headers("error", worker, attempt);
    writeErrorHeaders(headers, error);
    this.#publish(headers, encoder.encode(`${error.reason}: ${safeMessage(error.message)}`));
  }

  #headers(kind: ReplyKind, worker = "", attempt = 0): MsgHdrs {
    const headers = encodeReplyHeaders({
      kind,
      ...(this.jobId === "" ? {} : { jobId: this.jobId }),
      ...(worker === "" ? {} : { worker }),
      ...(attempt === 0 ? {} : { attempt }),
    });
    headers.append(HEADER.manager, this.#manager);
    return headers;
  }

  #publish(headers: MsgHdrs, payload?: Uint8Array): void {
    if (this.#reply !== "") this.#bus.publish(this.#reply, payload, { headers });
  }
}
