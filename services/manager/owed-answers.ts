/**
 * Answers to submissions, kept until a round trip has confirmed them.
 *
 * What is published in the moment in which a connection breaks is lost, and so
 * would be the outcome of a job that was run. After a reconnect everything
 * unconfirmed is sent again; a client that has it already drops the second. A
 * result that the broker does not take is answered as such.
 * Bounded in number and bytes; the oldest goes first.
 */
import type { MsgHdrs } from "nats";
import type { Bus } from "../../mesh/link/bus.js";
import type { Timer } from "../../mesh/link/runtime.js";
import { errorText, writeErrorHeaders } from "../../mesh/wire/error-headers.js";
import { encodeReplyHeaders, HEADER } from "../../mesh/wire/headers.js";
import { payloadLimit, resultRefusal } from "../../mesh/wire/payload-limit.js";

/** The longest time that an answer waits for its round trip to begin, in milliseconds. */
const CONFIRM_AFTER_MS = 50;
const MAX_ANSWERS = 10_000;
const MAX_BYTES = 64 * 2 ** 20;

interface Owed {
  readonly reply: string;
  readonly payload: Uint8Array;
  readonly headers: MsgHdrs;
}

export class OwedAnswers {
  readonly #bus: Bus;
  readonly #stopListening: () => void;
  #owed: Owed[] = [];
  #bytes = 0;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(bus: Bus) {
    this.#bus = bus;
    this.#stopListening = bus.on("reconnect", () => this.#sendAgain());
  }

  /** Sends an answer and keeps it until it is confirmed. */
  send(reply: string, payload: Uint8Array, headers: MsgHdrs): void {
    const owed = { reply, payload, headers };
    this.#publish(owed);
    this.#owed.push(owed);
    this.#bytes += payload.length;
    if (this.#owed.length > MAX_ANSWERS || this.#bytes > MAX_BYTES) this.#forget(1);
    this.#confirmSoon();
  }

  stop(): void {
    this.#stopped = true;
    this.#stopListening();
    this.#bus.runtime.cancel(this.#timer);
  }

  #publish({ reply, payload, headers }: Owed): void {
    const refusal = resultRefusal(payload, payloadLimit(this.#bus));
    if (refusal === undefined) {
      this.#bus.publish(reply, payload, { headers });
      return;
    }
    const said = encodeReplyHeaders({ kind: "error", jobId: headers.get(HEADER.jobId) });
    said.append(HEADER.manager, headers.get(HEADER.manager));
    writeErrorHeaders(said, refusal);
    this.#bus.publish(reply, errorText(refusal), { headers: said });
  }

  #confirmSoon(): void {
    if (this.#stopped || !this.#bus.connected) return;
    this.#timer ??= this.#bus.runtime.after(CONFIRM_AFTER_MS, () => void this.#confirm());
  }

  async #confirm(): Promise<void> {
    const last = this.#owed.at(-1);
    const arrived = await this.#bus.flush();
    this.#timer = undefined;
    // Some may have been forgotten meanwhile: all up to this one are confirmed.
    if (arrived && last !== undefined) this.#forget(this.#owed.indexOf(last) + 1);
    if (this.#owed.length > 0) this.#confirmSoon();
  }

  #forget(count: number): void {
    for (const { payload } of this.#owed.splice(0, count)) this.#bytes -= payload.length;
  }

  #sendAgain(): void {
    for (const owed of this.#owed) this.#publish(owed);
    this.#confirmSoon();
  }
}
