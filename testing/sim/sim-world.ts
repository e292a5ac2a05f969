/**
 * The simulated world: true time, one queue of events, one source of chance, and the trace.
 *
 * Decided here: the order of events. Between two of them, whoever runs the world
 * lets all promise chains go as far as they can. Nothing here depends on how fast
 * the machine is, so one seed has one trace.
 */

import { EventQueue, type QueuedEvent } from "./event-queue.js";
import { seededRandom } from "./random.js";
import type { Scheduled, World } from "./world.js";

/** Events of one instant at most; more means that two parts call each other for ever. */
const MAX_EVENTS_PER_INSTANT = 200_000;

/** One line of the trace. */
export interface TraceLine {
  readonly atMs: number;
  readonly line: string;
}

/** How a world is made. */
export interface WorldOptions {
  readonly seed: number;
  /** Keep the trace; default false, since it takes time. */
  readonly traced?: boolean;
}

/** A world that stands still until step() is called. */
export class SteppedWorld implements World {
  /** Whether lines are kept: who would have to build a long line may ask. */
  readonly traced: boolean;
  /** The lines in their order; empty unless traced. */
  readonly lines: TraceLine[] = [];
  /** How many events have run. */
  events = 0;
  readonly random: () => number;
  /** Hears of each new event. */
  onScheduled: (() => void) | undefined;
  readonly #queue = new EventQueue();
  #nowMs = 0;
  #sameInstant = 0;

  constructor(options: WorldOptions) {
    this.traced = options.traced ?? false;
    this.random = seededRandom(options.seed);
  }

  now(): number {
    return this.#nowMs;
  }

  at(atMs: number, work: () => void): Scheduled {
    const scheduled = this.#queue.add(Math.max(atMs, this.#nowMs), work);
    this.onScheduled?.();
    return scheduled;
  }

  cancel(scheduled: Scheduled | undefined): void {
    if (scheduled !== undefined) (scheduled as QueuedEvent).work = undefined;
  }

  trace(line: string): void {
    if (this.traced) this.lines.push({ atMs: this.#nowMs, line });
  }

  /** Whether an event is due by a time. */
  isDue(byMs: number): boolean {
    const atMs = this.#queue.nextAtMs();
    return atMs !== undefined && atMs <= byMs;
  }

  /**
   * Runs the next event if it is due by a time; false when none is, and then it is that time.
   *
   * @throws Error when time does not go on
   */
  step(untilMs: number): boolean {
    const atMs = this.#queue.nextAtMs();
    if (atMs === undefined || atMs > untilMs) {
      this.#nowMs = Math.max(this.#nowMs, untilMs);
      this.#sameInstant = 0;
      return false;
    }
    this.#goTo(atMs);
    const event = this.#queue.take();
    const work = event?.work;
    if (event === undefined || work === undefined) return true;
    event.work = undefined;
    this.events += 1;
    work();
    return true;
  }

  #goTo(atMs: number): void {
    if (atMs > this.#nowMs) {
      this.#nowMs = atMs;
      this.#sameInstant = 0;
      return;
    }
    this.#sameInstant += 1;
    if (this.#sameInstant > MAX_EVENTS_PER_INSTANT) throw new Error(`time stands still at ${atMs} ms`);
  }
}
