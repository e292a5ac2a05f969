/**
 * Outcomes replied to who submitted over NATS, kept until they have arrived.
 *
 * Decided here: a result that the broker does not take is answered as an error.
 * Bounded in number and bytes; the oldest goes first.
 */
import type { MsgHdrs } from "nats";
import type { Bus } from "../../mesh/link/bus.js";
import { Confirmer, type UnconfirmedStore } from "../../mesh/link/delivery.js";
import { errorText, writeErrorHeaders } from "../../mesh/wire/error-headers.js";
import { encodeReplyHeaders, HEADER } from "../../mesh/wire/headers.js";
import { payloadLimit, resultRefusal } from "../../mesh/wire/payloads.js";

const MAX_ANSWERS = 10_000;
const MAX_BYTES = 64 * 2 ** 20;

interface Answer {
  readonly reply: string;
  readonly payload: Uint8Array;
  readonly headers: MsgHdrs;
}

export class OutcomeReplies implements UnconfirmedStore {
  readonly #bus: Bus;
  readonly #confirmer: Confirmer;
  #unconfirmed: Answer[] = [];
  #bytes = 0;
  #seq = 0;

  constructor(bus: Bus) {
    this.#bus = bus;
    this.#confirmer = new Confirmer(bus, this);
  }

  get seq(): number {
    return this.#seq;
  }

  get unconfirmed(): number {
    return this.#unconfirmed.length;
  }

  /** Sends an answer and keeps it until it is confirmed. */
  send(reply: string, payload: Uint8Array, headers: MsgHdrs): void {
    const answer = { reply, payload, headers };
    this.#publish(answer);
    this.#unconfirmed.push(answer);
    this.#seq += 1;
    this.#bytes += payload.length;
    while (this.#unconfirmed.length > MAX_ANSWERS || this.#bytes > MAX_BYTES) this.#forget(1);
    this.#confirmer.published();
  }

  confirm(seq: number): void {
    const oldest = this.#seq - this.#unconfirmed.length + 1;
    this.#forget(Math.max(0, seq - oldest + 1));
  }

  publishAgain(): void {
    for (const answer of this.#unconfirmed) this.#publish(answer);
  }

  stop(): void {
    this.#confirmer.stop();
  }

  #publish({ reply, payload, headers }: Answer): void {
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

  #forget(count: number): void {
    for (const { payload } of this.#unconfirmed.splice(0, count)) this.#bytes -= payload.length;
  }
}
