/**
 * A manager's heartbeats: one for each pool every second, and soon after a pool becomes
 * busy or idle. How jobs ended is told once a second at most.
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
    for (const pool of this.#parts.pools()) this.#sendOne(pool);
  }

  /** A pool has become busy or idle. */
  changed(): void {
    if (this.#stopped) return;
    this.#early ??= this.#parts.bus.runtime.after(COALESCE_MS, () => {
      this.#early = undefined;
      this.send();
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

  #sendOne(pool: Pool): void {
    const { bus, subjects, manager, scope, retrying, limited, queued } = this.#parts;
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
      heartbeatIntervalMs: HEARTBEAT_INTERVAL_MS,
      takesSubmissions: scope.takesSubmissions && !this.#draining,
      allPools: scope.allPools,
    });
    bus.publish(subjects.managerHeartbeat(pool.name, manager), toBinary(ManagerHeartbeatSchema, heartbeat));
  }
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
