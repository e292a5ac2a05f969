/**
 * What a part of the mesh has from its process: time, timers, chance and fresh ids,
 * and whether the process stood still.
 *
 * Every part takes them from its bus, so that the simulator (test/sim) can run
 * the same code on a simulated clock. Only this file and a process's main file
 * touch Node's timers.
 */
import { randomBytes } from "node:crypto";
import { nuid } from "nats";

/** A timer that was started; give it to {@link Runtime.cancel}. */
export type Timer = object;

/** Time, timers, chance and ids. */
export interface Runtime {
  /** Monotonic milliseconds. */
  now(): number;
  /** The wall clock, milliseconds since the epoch. It may be wrong; nothing may depend on it but what people read. */
  wallNow(): number;
  /** Calls `work` once, `ms` milliseconds from now. A `background` timer does not keep the process alive. */
  after(ms: number, work: () => void, background?: "background"): Timer;
  /** Calls `work` every `ms` milliseconds. */
  every(ms: number, work: () => void): Timer;
  /** Calls `work` at the end of this turn of the event loop, when what has been read is handled. */
  endOfTurn(work: () => void): void;
  /** Ends a timer; nothing happens when there is none or it has fired. */
  cancel(timer: Timer | undefined): void;
  /** At least 0, below 1. */
  random(): number;
  /** An id that nobody else makes: letters and digits. It may be guessed by who has seen another one. */
  newId(): string;
  /** What nobody can guess: 13 letters and digits, 65 random bits. A simulated process has "": nobody guesses there. */
  newSecret(): string;
}

/** Each letter has five random bits. */
const LETTERS = Buffer.from("abcdefghijklmnopqrstuvwxyz234567");
const SECRET_LENGTH = 13;
/** Letters for several hundred secrets are made at once: a call for each would cost more than a message. */
const LETTERS_AT_ONCE = 8_192;
let letters = "";
let lettersUsed = 0;

function newSecret(): string {
  if (lettersUsed + SECRET_LENGTH > letters.length) {
    const bytes = randomBytes(LETTERS_AT_ONCE);
    for (let i = 0; i < bytes.length; i += 1) bytes[i] = LETTERS[(bytes[i] as number) & 31] as number;
    letters = bytes.toString("latin1");
    lettersUsed = 0;
  }
  lettersUsed += SECRET_LENGTH;
  return letters.slice(lettersUsed - SECRET_LENGTH, lettersUsed);
}

const idPrefix = nuid.next().slice(0, 12);
let idCounter = 0;

/** The runtime of a real process. */
export const systemRuntime: Runtime = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  after: (ms, work, background) => {
    const timer = setTimeout(work, ms);
    return background === undefined ? timer : timer.unref();
  },
  every: (ms, work) => setInterval(work, ms),
  endOfTurn: (work) => void setImmediate(work),
  cancel: (timer) => clearTimeout(timer as NodeJS.Timeout | undefined),
  random: () => Math.random(),
  newId: () => {
    idCounter += 1;
    return idPrefix + idCounter.toString(36);
  },
  newSecret,
};

/** Resolves after `ms` milliseconds; the wait does not keep the process alive. */
export function delay(runtime: Pick<Runtime, "after">, ms: number): Promise<void> {
  return new Promise((resolve) => void runtime.after(ms, resolve, "background"));
}

/** What one wait may count for, however long the process stood still, in milliseconds. */
const LISTEN_STEP_MS = 50;

/**
 * Resolves when this process has listened for `ms` milliseconds. While it stands still it hears nothing: such a time counts
 * for 50 ms at the most, so that nobody is taken to be silent for it.
 */
export async function listen(runtime: Pick<Runtime, "after" | "now">, ms: number): Promise<void> {
  for (let leftMs = ms; leftMs > 0; ) leftMs -= await listenOnce(runtime, Math.min(leftMs, LISTEN_STEP_MS));
}

/** A part of {@link listen}. @returns what it counts for, in milliseconds */
export async function listenOnce(runtime: Pick<Runtime, "after" | "now">, ms: number): Promise<number> {
  const beginMs = runtime.now();
  await delay(runtime, ms);
  return Math.max(ms, Math.min(runtime.now() - beginMs, LISTEN_STEP_MS));
}

/** How often {@link until} looks, in milliseconds. */
const LOOK_EVERY_MS = 20;

/** Resolves when a condition holds, or at the limit, in milliseconds. */
export async function until(
  runtime: Pick<Runtime, "after" | "now">,
  isSo: () => boolean,
  limitMs: number,
): Promise<void> {
  const endAtMs = runtime.now() + limitMs;
  while (!isSo() && runtime.now() < endAtMs) await delay(runtime, LOOK_EVERY_MS);
}

/**
 * Calls `work` when nothing was heard for `ms` milliseconds, and no sooner than what has come meanwhile is read: after a
 * stall timers fire first. What is heard cancels it; `work` may be called once more in that very turn.
 */
export function afterSilence(runtime: Pick<Runtime, "after" | "endOfTurn">, ms: number, work: () => void): Timer {
  return runtime.after(ms, () => runtime.endOfTurn(work), "background");
}

/** The value of `step` if it comes within `ms` milliseconds, else `late`. */
export function within<T>(runtime: Runtime, ms: number, step: Promise<T>, late: T): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = runtime.after(ms, () => resolve(late));
    step.then(resolve, reject).finally(() => runtime.cancel(timer));
  });
}

/**
 * Notices that this process stood still: a blocked event loop, SIGSTOP, a host
 * that took its processors away. Pure.
 *
 * Regular signs of life are expected; a gap between two of them that is longer
 * than expected is a stall. What was read after a stall may be out of date, and
 * nobody's silence during a stall says anything about them.
 */
export class StallDetector {
  #everyMs: number;
  #toleranceMs: number;
  #lastMs: number;
  #stalls = 0;
  #longestLagMs = 0;

  /**
   * @param everyMs how often sign() will be called
   * @param toleranceMs a gap longer than `everyMs` by more than this is a stall
   */
  constructor(nowMs: number, everyMs: number, toleranceMs: number) {
    this.#lastMs = nowMs;
    this.#everyMs = everyMs;
    this.#toleranceMs = toleranceMs;
  }

  /** How many stalls there were. */
  get stalls(): number {
    return this.#stalls;
  }

  /** Signs come at another pace from now on. */
  expect(nowMs: number, everyMs: number, toleranceMs: number): void {
    this.#lastMs = nowMs;
    this.#everyMs = everyMs;
    this.#toleranceMs = toleranceMs;
  }

  /** A sign of life at its regular time. Returns how late it is, in milliseconds. */
  sign(nowMs: number): number {
    const lagMs = Math.max(0, nowMs - this.#lastMs - this.#everyMs);
    this.#lastMs = nowMs;
    if (lagMs > this.#longestLagMs) this.#longestLagMs = lagMs;
    if (this.isStall(lagMs)) this.#stalls += 1;
    return lagMs;
  }

  /** Looks at the clock between two signs; true when it finds a stall, which then counts once. */
  check(nowMs: number): boolean {
    if (!this.isStall(nowMs - this.#lastMs - this.#everyMs)) return false;
    this.sign(nowMs);
    return true;
  }

  /** Whether a sign that is late by this much ends a stall. */
  isStall(lagMs: number): boolean {
    return lagMs > this.#toleranceMs;
  }

  /** The longest lag since resetLag(), in milliseconds. */
  get longestLagMs(): number {
    return this.#longestLagMs;
  }

  resetLag(): void {
    this.#longestLagMs = 0;
  }
}
