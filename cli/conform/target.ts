/** Finds the worker to check, and what it claims. */
import { WorkerState } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { PoolError } from "../../mesh/errors.js";
import type { Link } from "../link.js";
import type { Hearing } from "./hearing.js";
import { type Level, levelOf } from "./level.js";

/** Whom the kit checks. */
export interface Target {
  readonly pool: string;
  /** Its id; "" for a bare worker, which has none. */
  readonly worker: string;
  readonly level: Level;
  /** No other worker of the pool was heard: offers to the pool reach this one. */
  readonly alone: boolean;
}

/** What the caller says of the worker. */
export interface TargetWish {
  readonly pool: string;
  /** Its id; undefined when the pool has only one. */
  readonly worker: string | undefined;
  /** Undefined: as its heartbeat says. */
  readonly level: Level | undefined;
}

/** How long a first heartbeat is waited for, and then those of others, in milliseconds. */
const FIRST_BEAT_MS = 3_200;
const OTHERS_MS = 1_200;
/** How long somebody has to answer that a job's subject is served, in milliseconds. */
const ANYBODY_MS = 2_000;

/**
 * The worker that is meant.
 *
 * @throws PoolError `no_workers` when nobody is there or it is not READY, `invalid_argument` when several could be meant
 */
export async function findTarget(link: Link, hearing: Hearing, wish: TargetWish, quick: Uint8Array): Promise<Target> {
  const { pool, level } = wish;
  if (level === "bare") return bareTarget(link, pool, quick);
  hearing.callRoll();
  await hearing.until(() => (hearing.workers.length > 0 ? true : undefined), FIRST_BEAT_MS);
  if (hearing.workers.length === 0 && wish.worker === undefined) {
    if (level === undefined) return bareTarget(link, pool, quick);
    throw new PoolError("no_workers", `no worker of pool ${pool} sends heartbeats`);
  }
  await hearing.until(() => undefined, OTHERS_MS);
  const worker = pickWorker(hearing.workers, wish);
  const last = hearing.last(worker);
  if (last !== undefined && last.state !== WorkerState.READY) {
    throw new PoolError("no_workers", `worker ${worker} is ${WorkerState[last.state]}: it must be READY`);
  }
  const alone = hearing.workers.length === 1;
  return { pool, worker, level: level ?? (last === undefined ? "v0" : levelOf(last)), alone };
}

/** @throws PoolError as {@link findTarget} */
function pickWorker(workers: readonly string[], { pool, worker }: TargetWish): string {
  if (worker !== undefined) {
    if (workers.includes(worker)) return worker;
    throw new PoolError("no_workers", `worker ${worker} of pool ${pool} sends no heartbeats`, { field: "worker" });
  }
  const [only] = workers;
  if (only !== undefined && workers.length === 1) return only;
  const message = `pool ${pool} has workers ${workers.slice(0, 8).join(", ")}: name one with --worker`;
  throw new PoolError("invalid_argument", message, { field: "worker" });
}

/** Somebody answers jobs and sends no heartbeats. */
async function bareTarget({ inbox, subjects }: Link, pool: string, quick: Uint8Array): Promise<Target> {
  const answer = await inbox.ask({ subject: subjects.job(pool), payload: quick, limitMs: ANYBODY_MS });
  if (answer.kind !== "absent") return { pool, worker: "", level: "bare", alone: true };
  throw new PoolError("no_workers", `no worker of pool ${pool} is there: nobody listens at ${subjects.job(pool)}`);
}
