/**
 * What the parts of the simulator share: true time, and the processes that live in it.
 *
 * Types only; sim-world.ts and sim-process.ts have the code.
 */
import type { Runtime } from "../../mesh/link/runtime.js";

/** Something that will happen; give it to {@link World.cancel}. */
export interface Scheduled {
  readonly atMs: number;
}

/** The simulated world: one queue of events in the order of true time, and one source of chance. */
export interface World {
  /** True time since the start, milliseconds. No process sees it. */
  now(): number;
  /** Calls `work` when true time is `atMs`. Events of one instant happen in the order in which they were scheduled. */
  at(atMs: number, work: () => void): Scheduled;
  cancel(scheduled: Scheduled | undefined): void;
  /** At least 0, below 1; the same row of numbers for the same seed. */
  random(): number;
  /** Writes a line of the trace. */
  trace(line: string): void;
}

/** A process as the network sees it. */
export interface SimProcess {
  readonly name: string;
  /** Its own clock: offset and drift against true time; its timers do not fire while it is stopped or busy. */
  readonly runtime: Runtime;
  readonly alive: boolean;
  /**
   * Runs `work` when this process reads its sockets: now if it is able to, else
   * when it goes on, after its timers that are due. Never after kill -9.
   */
  receive(work: () => void): void;
}
