/**
 * A manager's heartbeats: one for each pool every second, and soon after a pool becomes
 * busy or idle. How jobs ended is told once a second at most.
 *
 * Decided here: a manager of many pools sends fewer for those that are idle, within a
 * budget for all of them. Each heartbeat says within which time the next one of its pool comes.
 */
import { hostname } from "node:os";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  type ManagerHeartbeat,
  ManagerHeartbeatSchema,
  type PoolReport,
  PoolReportSchema,
} from "../../gen/poolmesh/v1/heartbeat_pb.js";
import type { TimeHistogram } from "../../mesh/job/containers.js";
import type { Bus } from "../../mesh/link/bus.js";
import type { Timer } from "../../mesh/link/runtime.js";
import { newIncarnation, packageVersion } from "../../mesh/process/identity.js";
import type { Subjects } from "../../mesh/wire/subjects.js";
import type { EndedJobs } from "./jobs/totals.js";
import type { Pool } from "./pool/pool.js";

/** The time between two heartbeats, in milliseconds. */
const HEARTBEAT_INTERVAL_MS = 1_000;
/** At most one heartbeat on change in this time, in milliseconds. */
const COALESCE_MS = 250;
/** The idle pools of a manager have so many heartbeats a second together, as far as that is not too seldom for each. */
const IDLE_PER_SECOND = 100;
/** An idle pool has a heartbeat at least once in so many seconds. */
const MOST_IDLE_SECONDS = 10;

/** What a manager says of itself to the others. */
export interface ManagerScope {
  /** It takes jobs from `pool.P.submit`. */
  readonly takesSubmissions: boolean;
  /** It serves every pool. */
  readonly allPools: boolean;
}

/** What it works with. */
export interface HeartbeatParts {
  readonly scope: ManagerScope;
  /** Whether it takes submissions by now. */
  readonly hasJoined: () => boolean;
  readonly bus: Bus;
  readonly subjects: Subjects;
  /** This manager's id. */
  readonly manager: string;
  readonly pools: () => Iterable<Pool>;
  /** Jobs of a pool's durable lane that were given back after a failure and are not due. */
  readonly retrying: (pool: Pool) => number;
  /** Jobs of a pool's durable lane that wait here until their limits let them run. */
  readonly limited: (pool: Pool) => number;
  /** Jobs that wait in the stream of a pool's durable lane. */
  readonly queued: (pool: Pool) => number;
}

export class Heartbeats {
  readonly #parts: HeartbeatParts;
  readonly #identity: Pick<ManagerHeartbeat, "manager" | "incarnation" | "host" | "pid" | "version">;
  readonly #changed = new Set<Pool>();
  readonly #told = new WeakMap<Pool, Told>();
  #second = 0;
  #seq = 0n;
  #early: Timer | undefined;
  #stopped = false;
  #draining = false;

  constructor(parts: HeartbeatParts) {
    const { wallNow, random } = parts.bus.runtime;
    this.#parts = parts;
    this.#identity = {
      manager: parts.manager,
      incarnation: newIncarnation(wallNow(), random),
      host: hostname(),
      pid: process.pid,
      version: packageVersion(),
    };
  }

  /** Sends one heartbeat for each pool. */
  send(): void {
    for (const pool of this.#parts.pools()) this.#sendOne(pool, HEARTBEAT_INTERVAL_MS);
  }

  /** Once a second: sends one for each pool that is busy, or of which there is news, and for the idle ones whose turn it is. */
  sendDue(): void {
    this.#second += 1;
    const pools = [...this.#parts.pools()];
    const seconds = idleSeconds(pools.length);
    for (const [place, pool] of pools.entries()) {
      if (seconds > 1 && this.#isIdle(pool)) this.#sendIdle(pool, place, seconds);
      else this.#sendOne(pool, HEARTBEAT_INTERVAL_MS);
    }
  }

  /** A pool has become busy or idle. */
  changed(pool: Pool): void {
    if (this.#stopped) return;
    this.#changed.add(pool);
    this.#early ??= this.#parts.bus.runtime.after(COALESCE_MS, () => {
      this.#early = undefined;
      for (const pool of this.#parts.pools()) if (this.#changed.has(pool)) this.#sendOne(pool, HEARTBEAT_INTERVAL_MS);
      this.#changed.clear();
    });
  }

  /** Tells the others that it takes no submissions any more. */
  drain(): void {
    this.#draining = true;
    this.send();
  }

  /** Sends the last ones. */
  stop(): void {
    this.#stopped = true;
    this.#parts.bus.runtime.cancel(this.#early);
    this.send();
  }

  /** It has no job, and all that there is to tell of it was told. */
  #isIdle(pool: Pool): boolean {
    const { retrying, limited, queued } = this.#parts;
    const { dispatcher, totals } = pool;
    const told = this.#told.get(pool);
    if (told === undefined || dispatcher.liveJobs > 0 || totals.hasNews) return false;
    if (told.submitted !== totals.submitted || told.late !== totals.late || told.stream !== dispatcher.stream)
      return false;
    return queued(pool) + retrying(pool) + limited(pool) === 0;
  }

  /** The turns of idle pools are spread over their interval. */
  #sendIdle(pool: Pool, place: number, seconds: number): void {
    if (this.#second < (this.#told.get(pool)?.dueSecond ?? 0)) return;
    const untilNext = seconds - ((this.#second + place) % seconds);
    this.#sendOne(pool, seconds * HEARTBEAT_INTERVAL_MS, untilNext);
  }

  /** @param seconds until the next one is due, as {@link sendDue} counts them */
  #sendOne(pool: Pool, heartbeatIntervalMs: number, seconds = 1): void {
    const { bus, subjects, manager, scope, hasJoined, retrying, limited, queued } = this.#parts;
    const nowMs = bus.runtime.now();
    const ended = pool.totals.report(nowMs);
    this.#seq += 1n;
    const heartbeat = create(ManagerHeartbeatSchema, {
      ...this.#identity,
      ...figuresOf(pool, nowMs),
      ...(ended === undefined ? {} : { report: toReport(ended) }),
      coveringStream: pool.dispatcher.stream ?? "",
      durableRetrying: retrying(pool),
      durableLimited: limited(pool),
      durableQueued: BigInt(queued(pool)),
      pool: pool.name,
      seq: this.#seq,
      stopped: this.#stopped,
      draining: scope.takesSubmissions && this.#draining,
      heartbeatIntervalMs,
      takesSubmissions: scope.takesSubmissions && hasJoined() && !this.#draining,
      allPools: scope.allPools,
    });
    bus.publish(subjects.managerHeartbeat(pool.name, manager), toBinary(ManagerHeartbeatSchema, heartbeat));
    const { submitted, late } = pool.totals;
    this.#told.set(pool, { submitted, late, stream: pool.dispatcher.stream, dueSecond: this.#second + seconds });
  }
}

/** What was told of a pool. */
interface Told {
  readonly submitted: number;
  readonly late: number;
  readonly stream: string | undefined;
  /** In which second the next heartbeat is due. */
  readonly dueSecond: number;
}

/** How often an idle pool has a heartbeat, in seconds. @param pools of one manager */
export function idleSeconds(pools: number): number {
  return Math.min(MOST_IDLE_SECONDS, Math.max(1, Math.ceil(pools / IDLE_PER_SECOND)));
}

type Figures = Pick<
  ManagerHeartbeat,
  "parked" | "parkedBytes" | "oldestWaitMs" | "parkedLimit" | "inFlight" | "submittedTotal" | "outcomes" | "lateTotal"
>;

/** What a heartbeat says of one pool. @param nowMs monotonic milliseconds */
export function figuresOf({ dispatcher, totals, settings }: Pool, nowMs: number): Figures {
  const { parked, sentJobs } = dispatcher;
  const oldestMs = parked.oldestSubmittedAtMs();
  const outcomes: Record<string, bigint> = {};
  for (const [reason, { count }] of totals.outcomes()) outcomes[reason] = BigInt(count);
  return {
    parked: parked.size,
    parkedBytes: BigInt(parked.bytes),
    oldestWaitMs: oldestMs === undefined ? 0 : nowMs - oldestMs,
    parkedLimit: settings.limits.jobs,
    inFlight: sentJobs,
    submittedTotal: BigInt(totals.submitted),
    outcomes,
    lateTotal: BigInt(totals.late),
  };
}

function toReport({ wait, run, total }: EndedJobs): PoolReport {
  return create(PoolReportSchema, { wait: toCounts(wait), run: toCounts(run), total: toCounts(total) });
}

/** Counts of 0 at the end are left out. */
function toCounts({ counts }: TimeHistogram): bigint[] {
  return [...counts.subarray(0, counts.findLastIndex((count) => count > 0) + 1)].map(BigInt);
}
