import { afterSilence, type Timer } from "../../../mesh/link/runtime.js";
import { decodeControlResponse, encodeControl } from "../../../mesh/wire/control-messages.js";
import { decodeReplyHeaders } from "../../../mesh/wire/headers.js";
import { headersOf, isNoResponders, type Reply } from "../../../mesh/wire/wire-headers.js";
import type { InquiryParts } from "./inquiries.js";

/** What it works with. */
export type LocatorParts = Pick<InquiryParts, "pool" | "bus" | "inbox" | "subjects" | "workers">;

/** How long workers have to answer, in milliseconds. */
const ANSWER_WITHIN_MS = 500;
/** From one question to the next, in milliseconds: jobs that are tried again after a failure come all the time. */
const BETWEEN_MS = 50;
/** A manager knows all workers of a pool when it has heard it for so long, in milliseconds. */
const ALL_HEARD_MS = 1_500;
/** The worker that nobody has heard yet. */
const UNHEARD = "";
/** Jobs in one question. */
const JOBS_PER_QUESTION = 500;
/** The first version of the protocol whose workers answer every question, if only with an error. */
const ANSWERING_VERSION = 2;

interface Asked {
  readonly id: string;
  readonly nonce: string;
  readonly tell: (worker: string | undefined) => void;
}

/** One question on its way. */
interface Round {
  /** By job id. */
  readonly jobs: Map<string, Asked>;
  /** Workers whose answer is waited for. */
  readonly expected: Set<string>;
  readonly token: string;
  readonly limit: Timer;
}

export class Locator {
  readonly #parts: LocatorParts;
  #waiting: Asked[] = [];
  #round: Round | undefined;
  #next: Timer | undefined;
  #isDue = false;
  readonly #sinceMs: number;
  /** Workers that did not answer last time. */
  readonly #silent = new Set<string>();

  constructor(parts: LocatorParts) {
    this.#parts = parts;
    this.#sinceMs = parts.bus.runtime.now();
  }

  /** The worker that runs a submission of the durable lane, or keeps its outcome; undefined when none says so. */
  locate(id: string, nonce: string): Promise<string | undefined> {
    return new Promise((tell) => {
      this.#waiting.push({ id, nonce, tell });
      if (this.#round !== undefined || this.#next !== undefined || this.#isDue) return;
      this.#isDue = true;
      this.#parts.bus.runtime.endOfTurn(() => this.#ask());
    });
  }

  /** Nobody is asked any more: no worker is known to have what is waited for. */
  stop(): void {
    this.#parts.bus.runtime.cancel(this.#next);
    if (this.#round !== undefined) this.#end(this.#round);
    this.#parts.bus.runtime.cancel(this.#next);
    for (const { tell } of this.#waiting.splice(0)) tell(undefined);
  }

  #ask(): void {
    this.#isDue = false;
    this.#next = undefined;
    const { bus, inbox, subjects, pool, workers } = this.#parts;
    const asked = this.#take();
    if (asked.length === 0) return;
    const answering = workers.answering().filter((id) => (workers.get(id)?.protocolVersion ?? 0) >= ANSWERING_VERSION);
    if (bus.runtime.now() - this.#sinceMs < ALL_HEARD_MS) answering.push(UNHEARD);
    if (answering.length === 0) {
      for (const { tell } of asked) tell(undefined);
      return this.#later();
    }
    const token = inbox.open({ onReply: (msg) => this.#onReply(round, msg) });
    const round: Round = {
      jobs: new Map(asked.map((job) => [job.id, job])),
      expected: new Set(answering.filter((id) => !this.#silent.has(id))),
      token,
      limit: afterSilence(bus.runtime, ANSWER_WITHIN_MS, () => this.#end(round)),
    };
    this.#round = round;
    const names = { jobIds: asked.map(({ id }) => id), nonces: asked.map(({ nonce }) => nonce) };
    bus.publish(subjects.controlAll(pool), encodeControl("locate", names), { reply: inbox.subject(token) });
  }

  /** Answers name ids: of two jobs that have one after the other, the second waits for the next question. */
  #take(): Asked[] {
    const ids = new Set<string>();
    const asked: Asked[] = [];
    const later: Asked[] = [];
    for (const job of this.#waiting) {
      if (ids.has(job.id) || asked.length === JOBS_PER_QUESTION) later.push(job);
      else asked.push(job);
      ids.add(job.id);
    }
    this.#waiting = later;
    return asked;
  }

  #onReply(round: Round, msg: Reply): void {
    if (round !== this.#round) return;
    if (isNoResponders(msg)) return this.#end(round);
    const { worker } = decodeReplyHeaders(headersOf(msg));
    if (worker === undefined) return;
    for (const id of decodeControlResponse(msg)?.knownJobIds ?? []) {
      round.jobs.get(id)?.tell(worker);
      round.jobs.delete(id);
    }
    round.expected.delete(worker);
    this.#silent.delete(worker);
    if (round.expected.size === 0 || round.jobs.size === 0) this.#end(round);
  }

  #end(round: Round): void {
    const { bus, inbox } = this.#parts;
    if (round !== this.#round) return;
    this.#round = undefined;
    bus.runtime.cancel(round.limit);
    inbox.close(round.token);
    // Who was not needed any more is not silent.
    round.expected.delete(UNHEARD);
    if (round.jobs.size > 0) for (const worker of round.expected) this.#silent.add(worker);
    for (const { tell } of round.jobs.values()) tell(undefined);
    this.#later();
  }

  #later(): void {
    this.#next = this.#parts.bus.runtime.after(BETWEEN_MS, () => this.#ask());
  }
}
