/** What a message said about a job, checked and completed; and how its sender hears of it. Pure. */
import type { Ending } from "../handlers/runner.js";

/** Which job a reply is about and where it goes. */
export interface Addressee {
  readonly id: string;
  /** The nonce of its submission; "" when its id is its own. */
  readonly nonce: string;
  readonly attempt: number;
  /** Undefined: nobody waits. */
  readonly reply: string | undefined;
  /** The job came in a bundle: its result may go back in one. */
  readonly bundled?: boolean;
}

/** How the sender of an order hears what becomes of it. Each lane by which jobs come has one. */
export interface Answerer {
  /** The job holds a slot and runs. */
  accepted(order: JobOrder): void;
  /** An intermediate value. */
  progress(order: JobOrder, payload: Uint8Array): void;
  /** The last word: a result or an error, kept until it has arrived. @param nowMs monotonic milliseconds */
  end(order: JobOrder, ending: Ending, nowMs: number): void;
}

/** A job that a sender wants to be run. */
export interface JobOrder extends Addressee {
  /** Whether the sender gave the id, so that it can name the job again. */
  readonly named: boolean;
  /** Whether the sender understands `busy`, `accepted` and `progress`; else it gets one answer, the outcome. */
  readonly offered: boolean;
  readonly bundled: boolean;
  readonly bytes: Uint8Array;
  /** Monotonic milliseconds. */
  readonly deadlineAtMs: number;
  /** How old it is, in milliseconds, and how old it may be to be started; undefined when its sender sets no bound. */
  readonly ageMs: number;
  readonly startWithinMs: number | undefined;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  readonly answerer: Answerer;
}

/** The key of one submission; names have no space. */
export function jobKey(id: string, nonce: string): string {
  return nonce === "" ? id : `${id} ${nonce}`;
}

/** The key of one attempt of one submission. */
export function attemptKey({ id, nonce, attempt }: Pick<Addressee, "id" | "nonce" | "attempt">): string {
  return attempt === 1 ? jobKey(id, nonce) : `${jobKey(id, nonce)}#${attempt}`;
}
