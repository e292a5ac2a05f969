/**
 * The simulated world: true time, one queue of events, one source of chance, and the trace.
 *
 * Decided here: an event runs when all events before it have run, and when all
 * promise chains that those began have gone as far as they can. Nothing here
 * depends on how fast the machine is, so one seed has one trace.
 */
import { seededRandom } from "../support/random.js";
import { EventQueue, type QueuedEvent } from "./clock/event-queue.js";
import { runMicrotasks } from "./clock/microtasks.js";
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

/** A world that stands still until run() is called. */
export class SimWorld implements World {
  /** Whether lines are kept: who would have to build a long line may ask. */
  readonly traced: boolean;
  /** The lines in their order; empty unless traced. */
  readonly lines: TraceLine[] = [];
  /** How many events have run. */
  events = 0;
  readonly random: () => number;
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
    return this.#queue.add(Math.max(atMs, this.#nowMs), work);
  }

  cancel(scheduled: Scheduled | undefined): void {
    if (scheduled !== undefined) (scheduled as QueuedEvent).work = undefined;
  }

  trace(line: string): void {
    if (this.traced) this.lines.push({ atMs: this.#nowMs, line });
  }

  /**
   * Runs all events up to a time, and stops there. To be called from a
   * macrotask (see microtasks.ts).
   *
   * @throws Error when time does not go on
   */
  run(untilMs: number): void {
    runMicrotasks();
    for (;;) {
      const atMs = this.#queue.nextAtMs();
      if (atMs === undefined || atMs > untilMs) break;
      this.#goTo(atMs);
      const event = this.#queue.take();
      const work = event?.work;
      if (event === undefined || work === undefined) continue;
      event.work = undefined;
      this.events += 1;
      work();
      runMicrotasks();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
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
