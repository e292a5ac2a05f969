/**
 * Whether anybody serves a pool at all: told from "all its workers are busy".
 *
 * Nobody does when no worker of the pool answers two roll calls, and every manager
 * that is heard holds its jobs without having given any of them to a worker,
 * ever. Without such a manager nothing is concluded: this account may not be
 * allowed to listen.
 */
import type { Msg } from "nats";
import type { ManagerHeartbeat } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import type { PoolError } from "../../mesh/errors.js";
import { decodeManagerHeartbeat, rawHeartbeat } from "../../mesh/wire/heartbeat-codec.js";
import { poolsOf, rollCall } from "../control/roll-call.js";
import { unknownPool } from "../control/unknown-pool.js";
import type { Link } from "../link.js";

/** How long a job may take before anybody asks whether its pool is served, in milliseconds. */
const PATIENCE_MS = 150;
/** The time between two roll calls that told nothing, in milliseconds: it doubles from the one to the other. */
const AGAIN_MS = { least: 1_000, most: 16_000 } as const;
/** So many roll calls must find nobody before that is believed. */
const SILENCES = 2;
/** Outcomes that no worker had a part in. */
const WITHOUT_WORKER = new Set(["deadline_exceeded", "canceled", "unknown_pool", "no_workers", "pool_full"]);

/** Who finds out that nobody serves a pool. */
export interface Scout {
  /** A job has been submitted. */
  begin(): void;
  /** A manager has said that it has never heard of a worker of the pool. */
  confirm(): Promise<void>;
  /** Nobody needs to know any more. */
  stop(): void;
}

export class PoolScout implements Scout {
  readonly #link: Link;
  readonly #pool: string;
  readonly #onUnknown: (error: PoolError) => void;
  #timer: NodeJS.Timeout | undefined;
  #againMs: number = AGAIN_MS.least;
  #silences = 0;
  #begun = false;
  #stopped = false;

  /** @param onUnknown hears at most once that nobody serves the pool */
  constructor(link: Link, pool: string, onUnknown: (error: PoolError) => void) {
    this.#link = link;
    this.#pool = pool;
    this.#onUnknown = onUnknown;
  }

  /** A job has been submitted. */
  begin(): void {
    if (this.#begun || this.#stopped) return;
    this.#begun = true;
    this.#askAfter(PATIENCE_MS);
  }

  /** A manager has said that it has never heard of a worker of the pool. */
  async confirm(): Promise<void> {
    if (this.#stopped) return;
    this.stop();
    const workers = await rollCall(this.#link).catch(() => []);
    this.#onUnknown(unknownPool(this.#pool, poolsOf(workers)));
  }

  /** Nobody needs to know any more: a job has ended, or none is waited for. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #askAfter(delayMs: number): void {
    this.#timer = setTimeout(() => void this.#ask().catch(() => this.#askAgain()), delayMs);
    this.#timer.unref();
  }

  /** Nothing can be concluded yet: a manager was not heard, or it has an offer on its way. */
  #askAgain(): void {
    if (this.#stopped) return;
    this.#askAfter(this.#againMs);
    this.#againMs = Math.min(2 * this.#againMs, AGAIN_MS.most);
  }

  async #ask(): Promise<void> {
    const managers: ManagerHeartbeat[] = [];
    const { bus, subjects } = this.#link;
    const onManager = (msg: Msg): void => {
      const decoded = decodeManagerHeartbeat(rawHeartbeat(msg, subjects));
      if (decoded.ok) managers.push(decoded.beat);
    };
    const subscription = bus.subscribe(subjects.every.managerHeartbeat(this.#pool), onManager);
    const pools = poolsOf(await rollCall(this.#link).finally(() => subscription.unsubscribe()));
    if (this.#stopped || pools.includes(this.#pool)) return this.stop();
    if (managers.length === 0 || !managers.every(hasOnlyHeld)) return this.#askAgain();
    // The first job may be on its way still, and a worker may be busy with its start: one silence says nothing.
    this.#silences += 1;
    if (this.#silences < SILENCES) return this.#askAgain();
    this.stop();
    this.#onUnknown(unknownPool(this.#pool, pools));
  }
}

/** Whether a manager has never given a job of its pool to a worker. Pure. */
function hasOnlyHeld({ inFlight, outcomes }: Pick<ManagerHeartbeat, "inFlight" | "outcomes">): boolean {
  return inFlight === 0 && Object.entries(outcomes).every(([reason, n]) => n === 0n || WITHOUT_WORKER.has(reason));
}
