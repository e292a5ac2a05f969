/**
 * What a part of the mesh has from its process: time, timers, chance and fresh ids.
 *
 * Every part takes them from its bus, so that the simulator (test/sim) can run
 * the same code on a simulated clock. Only this file and a process's main file
 * touch Node's timers.
 */
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
  /** An id that nobody else makes: letters and digits. */
  newId(): string;
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
};

/** Resolves after `ms` milliseconds; the wait does not keep the process alive. */
export function delay(runtime: Runtime, ms: number): Promise<void> {
  return new Promise((resolve) => void runtime.after(ms, resolve, "background"));
}

/** The value of `step` if it comes within `ms` milliseconds, else `late`. */
export function within<T>(runtime: Runtime, ms: number, step: Promise<T>, late: T): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = runtime.after(ms, () => resolve(late));
    step.then(resolve, reject).finally(() => runtime.cancel(timer));
  });
}
