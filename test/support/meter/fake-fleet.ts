/**
 * Workers that exist only as numbers: what a meter would have heard.
 *
 * Seeded, so that a run can be repeated; step() lets one tick of work pass.
 */
import { create } from "@bufbuild/protobuf";
import { HeartbeatSchema, Isolation, WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import {
  type PoolCapacity,
  PoolCapacitySchema,
  type WorkerView,
  WorkerViewSchema,
} from "../../../gen/poolmesh/v1/view_pb.js";

/** One pool to make up. */
export interface FakePool {
  readonly name: string;
  readonly workers: number;
  readonly slots: number;
  /** Share of busy slots to hover about, 0 to 1; over 1 parks jobs. */
  readonly load: number;
}

/** What managers would tell of one pool, where it is not all in order. */
export interface FakeTrouble {
  readonly managers?: number;
  /** Jobs of the last minute, and those of them that failed. */
  readonly ended?: number;
  readonly failed?: number;
  readonly streams?: readonly string[];
}

/** A fleet of made-up workers. */
export class FakeFleet {
  readonly views = new Map<string, WorkerView>();
  readonly #random: () => number;
  readonly #loads = new Map<string, number>();
  #parked = new Map<string, number>();
  /** By pool. */
  readonly trouble = new Map<string, FakeTrouble>();

  constructor(
    readonly pools: readonly FakePool[],
    seed = 7,
  ) {
    this.#random = seededRandom(seed);
    for (const pool of pools) {
      this.#loads.set(pool.name, pool.load);
      for (let i = 1; i <= pool.workers; i += 1) this.add(pool.name, `${pool.name}-${i}`, pool.slots);
    }
  }

  /** Adds a worker; returns its view, which may be changed in place. */
  add(pool: string, worker: string, slots: number, host = `node-${(this.views.size % 7) + 1}`): WorkerView {
    const heartbeat = create(HeartbeatSchema, {
      pool,
      worker,
      incarnation: BigInt(1_000 + this.views.size),
      state: WorkerState.READY,
      slots,
      isolation: Isolation.THREAD,
      host,
      pid: 1_000 + this.views.size,
      version: "0.1.0",
      heartbeatIntervalMs: 1_000,
      labels: { zone: `eu-${(this.views.size % 3) + 1}` },
    });
    const view = create(WorkerViewSchema, { heartbeat, ageMs: 40 });
    this.views.set(`${pool}/${worker}/${heartbeat.incarnation}`, view);
    return view;
  }

  /** The first worker of this name. */
  find(worker: string): WorkerView | undefined {
    return [...this.views.values()].find((view) => view.heartbeat?.worker === worker);
  }

  /** Lets a tick pass: jobs end, jobs start. Returns the workers that changed. */
  step(): WorkerView[] {
    return [...this.views.values()].filter((view) => this.#stepOne(view));
  }

  /** The capacity of one pool, or of all with an empty name. */
  capacity(pool: string): PoolCapacity {
    const mine = [...this.views.values()].filter((view) => pool === "" || view.heartbeat?.pool === pool);
    const ready = mine.filter((view) => view.heartbeat?.state === WorkerState.READY);
    const slots = sum(ready, (view) => view.heartbeat?.slots ?? 0);
    const busy = sum(ready, (view) => view.heartbeat?.busy ?? 0);
    const names = pool === "" ? this.pools.map((each) => each.name) : [pool];
    const troubles = names.map((name) => this.trouble.get(name) ?? {});
    const managers = mine.length === 0 ? [0] : troubles.map((each) => each.managers ?? 2);
    const parked = names.reduce((total, name) => total + (this.#parked.get(name) ?? 0), 0);
    return create(PoolCapacitySchema, {
      pool,
      slots,
      busy,
      utilization: slots === 0 ? 1 : busy / slots,
      workers: countStates(mine),
      parked,
      parkedLimit: 10_000 * names.length,
      oldestWaitMs: parked * 37,
      jobsPerSecond: busy * 5.5,
      jobsDone: BigInt(sum(mine, (view) => Number(view.heartbeat?.jobsDone ?? 0n))),
      jobsFailed: BigInt(sum(mine, (view) => Number(view.heartbeat?.jobsFailed ?? 0n))),
      conflicts: mine.filter((view) => view.conflict).length,
      managers: Math.max(...managers),
      endedLastMinute: BigInt(sum(troubles, ({ ended = 300 }) => ended)),
      failedLastMinute: BigInt(sum(troubles, ({ failed = 0 }) => failed)),
      coveringStreams: troubles.flatMap(({ streams = [] }) => streams),
      inFlight: busy,
      busyAll: sum(mine, (view) => view.heartbeat?.busy ?? 0),
    });
  }

  #stepOne(view: WorkerView): boolean {
    const heartbeat = view.heartbeat;
    if (heartbeat === undefined) return false;
    if (heartbeat.state === WorkerState.LOST || heartbeat.state === WorkerState.STOPPED) return false;
    const load = this.#loads.get(heartbeat.pool) ?? 0.5;
    if (load > 1) this.#parked.set(heartbeat.pool, Math.round((load - 1) * 200 + this.#random() * 30));
    const before = heartbeat.busy;
    const takes = heartbeat.state === WorkerState.READY;
    const aim = takes ? heartbeat.slots * load * (0.6 + this.#random() * 0.8) : heartbeat.busy;
    const next = Math.min(heartbeat.slots, Math.max(0, Math.round(before + (aim - before) * this.#random())));
    heartbeat.busy = next;
    heartbeat.seq += 1n;
    heartbeat.jobsDone += BigInt(Math.max(0, before - next));
    heartbeat.acceptedTotal += BigInt(Math.max(0, next - before));
    heartbeat.loopLagMs = this.#random() * 12;
    heartbeat.runningJobs = Array.from(
      { length: Math.min(next, 64) },
      (_, i) => `j-${heartbeat.pid}-${i + Number(heartbeat.seq % 50n)}`,
    );
    view.ageMs = this.#random() * 60;
    return before !== next || heartbeat.seq % 4n === 0n;
  }
}

/** A repeatable source of numbers from 0 to 1. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function countStates(views: readonly WorkerView[]): Record<string, number> {
  const of = (state: WorkerState): number => views.filter((view) => view.heartbeat?.state === state).length;
  return {
    starting: of(WorkerState.STARTING),
    ready: of(WorkerState.READY),
    paused: of(WorkerState.PAUSED),
    draining: of(WorkerState.DRAINING),
    stopped: of(WorkerState.STOPPED),
    lost: of(WorkerState.LOST),
  };
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
