/**
 * Outcomes replied to who submitted over NATS, kept until they have arrived.
 *
 * Decided here: a result that the broker does not take is answered as an error.
 * Bounded in number and bytes; the oldest goes first.
 */
import type { MsgHdrs } from "nats";
import type { Bus } from "../../mesh/link/bus.js";
import { Batcher, Confirmer, type UnconfirmedStore } from "../../mesh/link/delivery.js";
import { errorText, writeErrorHeaders } from "../../mesh/wire/error-headers.js";
import { encodeReplyHeaders, HEADER } from "../../mesh/wire/headers.js";
import {
  type BundleEntry,
  decodeBundle,
  encodeAnswersHeaders,
  encodeBundle,
  mostBytes,
  payloadLimit,
  resultRefusal,
  waitMsOf,
} from "../../mesh/wire/payloads.js";
import { bundleSubject, splitReply } from "../../mesh/wire/wire-headers.js";

const MAX_ANSWERS = 10_000;
const MAX_BYTES = 64 * 2 ** 20;
/** A turn of a manager that cannot keep up takes seconds on a full machine. */
const LONGEST_WAIT_MS = 20;

interface Answer {
  readonly reply: string;
  readonly payload: Uint8Array;
  readonly headers: MsgHdrs;
}

export class OutcomeReplies implements UnconfirmedStore {
  readonly #bus: Bus;
  readonly #manager: string;
  readonly #confirmer: Confirmer;
  /** Results for one client from one worker; its places are their names. */
  readonly #batcher: Batcher<BundleEntry>;
  #unconfirmed: Answer[] = [];
  #bytes = 0;
  #seq = 0;

  /** @param manager the id of this manager */
  constructor(bus: Bus, manager: string) {
    this.#bus = bus;
    this.#manager = manager;
    this.#confirmer = new Confirmer(bus, this);
    this.#batcher = new Batcher<BundleEntry>(bus, {
      bytesOf: mostBytes,
      longestWaitMs: LONGEST_WAIT_MS,
      alone: (place, result) => this.#sendAlone(place, result),
      together: (place, results) => this.#sendTogether(place, results),
    });
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

  /** Sends a result at the end of this turn, with others of the same worker for the same client. @param inbox with its last dot */
  sendSoon(inbox: string, worker: string, result: BundleEntry): void {
    this.#batcher.add(`${inbox} ${worker}`, result);
  }

  flush(): void {
    this.#batcher.flush();
  }

  confirm(seq: number): void {
    const oldest = this.#seq - this.#unconfirmed.length + 1;
    this.#forget(Math.max(0, seq - oldest + 1));
  }

  publishAgain(): void {
    for (const answer of this.#unconfirmed) this.#publish(answer);
  }

  stop(): void {
    this.#batcher.flush();
    this.#confirmer.stop();
  }

  #sendAlone(place: string, result: BundleEntry): void {
    const [inbox, worker] = place.split(" ") as [string, string];
    this.send(inbox + result.token, result.payload, this.#headersOf(result, worker));
  }

  #sendTogether(place: string, results: readonly BundleEntry[]): void {
    const [inbox, worker] = place.split(" ") as [string, string];
    const headers = encodeAnswersHeaders(results.length, "result", this.#manager, worker);
    this.send(bundleSubject(inbox), encodeBundle(results), headers);
  }

  #headersOf(result: BundleEntry, worker: string): MsgHdrs {
    const { id: jobId, attempt } = result;
    const said = { kind: "result", jobId, attempt, waitMs: waitMsOf(result), manager: this.#manager } as const;
    return encodeReplyHeaders(worker === "" ? said : { ...said, worker });
  }

  #publish({ reply, payload, headers }: Answer): void {
    const refusal = resultRefusal(payload, payloadLimit(this.#bus));
    if (refusal === undefined) {
      this.#bus.publish(reply, payload, { headers });
      return;
    }
    if (headers.get(HEADER.bundle) !== "") return this.#publishEach(reply, payload, headers.get(HEADER.worker));
    const said = encodeReplyHeaders({ kind: "error", jobId: headers.get(HEADER.jobId), manager: this.#manager });
    writeErrorHeaders(said, refusal);
    this.#bus.publish(reply, errorText(refusal), { headers: said });
  }

  /** The results of a bundle one by one, for a broker that takes less than the one before. */
  #publishEach(reply: string, bundle: Uint8Array, worker: string): void {
    const [inbox] = splitReply(reply);
    decodeBundle(bundle, (result) => {
      const { token, payload } = result;
      this.#publish({ reply: inbox + token, payload, headers: this.#headersOf(result, worker) });
    });
  }

  #forget(count: number): void {
    for (const { payload } of this.#unconfirmed.splice(0, count)) this.#bytes -= payload.length;
  }
}
