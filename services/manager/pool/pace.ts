/**
 * How often the workers of a large mesh send heartbeats. Pure but for the sending.
 *
 * Every manager and every meter hears every heartbeat, so their work grows with the
 * number of workers, jobs or not. Decided here: from how many workers on a manager asks them
 * for fewer, and for how many. A worker that runs a job sends one every interval as ever. The
 * wish holds for 30 seconds at a worker, so it is repeated.
 */
import type { Bus } from "../../../mesh/link/bus.js";
import { encodeControl } from "../../../mesh/wire/control-messages.js";
import type { Subjects } from "../../../mesh/wire/subjects.js";
import type { Pool } from "./pool.js";

/** So many heartbeats a second from all idle workers together, as far as that is not too seldom for each. */
const IDLE_PER_SECOND = 100;
/** An idle worker sends at least one in this time, in milliseconds. */
const MOST_IDLE_MS = 10_000;
/** So many a second from all workers together because of jobs that begin and end. */
const CHANGES_PER_SECOND = 2_000;
/** Changes of one worker are gathered for at most this long, in milliseconds. */
const MOST_COALESCE_MS = 1_000;
/** The workers of a smaller mesh are asked for nothing. */
const FEW_WORKERS = 100;
/** How often they are asked, in milliseconds. */
const ASK_EVERY_MS = 10_000;

/** What workers are asked for, in milliseconds. */
export interface WantedPace {
  readonly coalesceMs: number;
  readonly idleIntervalMs: number;
}

/** What the workers of a mesh are asked for; undefined for nothing. @param workers of all pools that one manager hears */
export function paceFor(workers: number): WantedPace | undefined {
  if (workers <= FEW_WORKERS) return undefined;
  return {
    coalesceMs: Math.min(MOST_COALESCE_MS, Math.ceil((workers * 1_000) / CHANGES_PER_SECOND)),
    idleIntervalMs: Math.min(MOST_IDLE_MS, Math.ceil((workers * 1_000) / IDLE_PER_SECOND)),
  };
}

/** Asks the workers of all pools of one manager. */
export class Pace {
  readonly #bus: Bus;
  readonly #subjects: Subjects;
  #askedAtMs = Number.NEGATIVE_INFINITY;

  constructor(bus: Bus, subjects: Subjects) {
    this.#bus = bus;
    this.#subjects = subjects;
  }

  /** Called once a second. @param nowMs monotonic milliseconds */
  check(pools: Iterable<Pool>, nowMs: number): void {
    if (nowMs - this.#askedAtMs < ASK_EVERY_MS) return;
    const known = [...pools].filter((pool) => pool.workers.size > 0);
    const pace = paceFor(known.reduce((sum, { workers }) => sum + workers.size, 0));
    if (pace === undefined) return;
    this.#askedAtMs = nowMs;
    const payload = encodeControl("pace", pace);
    for (const { name } of known) this.#bus.publish(this.#subjects.controlAll(name), payload);
  }
}
