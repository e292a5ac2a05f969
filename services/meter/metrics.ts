/**
 * Prometheus metrics of the meter.
 *
 * The number of series is bounded: a few for each pool, of which there is a
 * bounded number, and none for a worker or a job. Values are read when they are asked
 * for.
 */
import { Counter, Gauge, Registry } from "prom-client";
import type { PoolCapacity } from "../../gen/poolmesh/v1/view_pb.js";
import { clockOffsetMs } from "../../mesh/wire/clock-offset.js";
import type { MeterState } from "./meter-state.js";
import { isLive, type WorkerRow } from "./registry/worker-row.js";
import { ALL } from "./streams/view.js";

/** What the HTTP server knows. */
export interface ServerFigures {
  readonly streams: number;
  readonly connections: number;
}

const STATES = ["starting", "ready", "paused", "draining", "stopped", "lost"] as const;

/** A gauge's value for a pool. */
type PoolFigure = (pool: PoolCapacity) => number;

/** name → help and figure, labelled by pool. */
const POOL_GAUGES: Readonly<Record<string, readonly [help: string, figure: PoolFigure]>> = {
  poolmesh_pool_slots: ["Slots of READY workers.", (pool) => pool.slots],
  poolmesh_pool_busy_slots: ["Busy slots of READY workers.", (pool) => pool.busy],
  poolmesh_pool_utilization_ratio: ["Busy divided by slots, 1 without slots.", (pool) => pool.utilization],
  poolmesh_pool_parked_jobs: ["Jobs that managers hold for a free slot.", (pool) => pool.parked],
  poolmesh_pool_parked_jobs_limit: ["The bound on parked jobs.", (pool) => pool.parkedLimit],
  poolmesh_pool_oldest_wait_seconds: ["Age of the oldest parked job.", (pool) => pool.oldestWaitMs / 1_000],
  poolmesh_pool_in_flight_jobs: ["Jobs sent to workers and not ended.", (pool) => pool.inFlight],
  poolmesh_pool_managers: ["Managers that serve the pool.", (pool) => pool.managers],
  poolmesh_pool_conflicting_workers: ["Worker ids that two live processes claim.", (pool) => pool.conflicts],
};

function largestOffsetMs(rows: Iterable<WorkerRow>, { nowMs, wallMs }: MeterState): number {
  let largestMs = 0;
  for (const row of rows) {
    const receivedAtMs = wallMs() - (nowMs() - row.lastBeatMs);
    if (isLive(row)) largestMs = Math.max(largestMs, Math.abs(clockOffsetMs(row.beat, receivedAtMs)));
  }
  return largestMs;
}

/** The meter's metrics. */
export class MeterMetrics {
  readonly #registry = new Registry();
  readonly #collectors: ((pools: readonly PoolCapacity[]) => void)[] = [];
  readonly #state: MeterState;

  constructor(state: MeterState, server: () => ServerFigures) {
    this.#state = state;
    this.#addPools();
    this.#addHeartbeats();
    this.#addClocks();
    this.#addMeter(server);
    this.#addProcess();
  }

  /** Prometheus text. */
  text(): Promise<string> {
    const pools = this.#state.view.capacities(ALL, this.#state.nowMs());
    for (const collect of this.#collectors) collect(pools);
    return this.#registry.metrics();
  }

  #addPools(): void {
    for (const [name, [help, figure]] of Object.entries(POOL_GAUGES)) {
      const gauge = this.#gauge(name, help, ["pool"]);
      this.#collectors.push((pools) => {
        gauge.reset();
        for (const pool of pools) gauge.set({ pool: pool.pool }, figure(pool));
      });
    }
    const workers = this.#gauge("poolmesh_pool_workers", "Workers by state.", ["pool", "state"]);
    const jobs = this.#counter("poolmesh_pool_jobs_total", "Jobs that workers ended.", ["pool", "outcome"]);
    this.#collectors.push((pools) => {
      workers.reset();
      jobs.reset();
      for (const { pool, workers: counts, jobsDone, jobsFailed } of pools) {
        for (const state of STATES) workers.set({ pool, state }, counts?.[state] ?? 0);
        jobs.inc({ pool, outcome: "done" }, Number(jobsDone));
        jobs.inc({ pool, outcome: "failed" }, Number(jobsFailed));
      }
    });
  }

  #addHeartbeats(): void {
    const { workerBeats, managerBeats, probes } = this.#state.tally;
    const beats = this.#counter("poolmesh_meter_heartbeats_total", "Heartbeats by what became of them.", [
      "sender",
      "fate",
    ]);
    const probed = this.#counter("poolmesh_meter_probes_total", "Probes of quiet workers by how they ended.", ["end"]);
    this.#collectors.push(() => {
      beats.reset();
      probed.reset();
      for (const [fate, count] of workerBeats) beats.inc({ sender: "worker", fate }, count);
      for (const [fate, count] of managerBeats) beats.inc({ sender: "manager", fate }, count);
      for (const [end, count] of probes) probed.inc({ end }, count);
    });
  }

  #addClocks(): void {
    const name = "poolmesh_pool_clock_offset_max_seconds";
    const offset = this.#gauge(name, "The largest difference of a live worker's wall clock to the meter's.", ["pool"]);
    this.#collectors.push((pools) => {
      offset.reset();
      const { registry } = this.#state.view;
      for (const { pool } of pools) offset.set({ pool }, largestOffsetMs(registry.rows(pool), this.#state) / 1_000);
    });
  }

  #addMeter(server: () => ServerFigures): void {
    const stale = this.#gauge("poolmesh_meter_stale", "1 while the meter is cut off from the broker.");
    const rows = this.#gauge("poolmesh_meter_workers", "Worker processes that are kept, in any state.");
    const streams = this.#gauge("poolmesh_meter_streams", "Streams open now.");
    const readers = this.#gauge("poolmesh_meter_readers", "Streams that read a view now.");
    const connections = this.#gauge("poolmesh_meter_connections", "HTTP connections open now.");
    this.#collectors.push(() => {
      stale.set(this.#state.freshness.stale ? 1 : 0);
      rows.set(this.#state.view.registry.size);
      streams.set(server().streams);
      readers.set(this.#state.changes.readers);
      connections.set(server().connections);
    });
  }

  #addProcess(): void {
    const cpu = this.#counter("process_cpu_seconds_total", "User and system CPU time of the process.");
    const memory = this.#gauge("process_resident_memory_bytes", "Resident memory of the process.");
    const started = this.#gauge("process_start_time_seconds", "When the process started, since the epoch.");
    started.set(Math.round(Date.now() / 1_000 - process.uptime()));
    this.#collectors.push(() => {
      const { user, system } = process.cpuUsage();
      cpu.reset();
      cpu.inc((user + system) / 1e6);
      memory.set(process.memoryUsage.rss());
    });
  }

  #gauge<L extends string>(name: string, help: string, labelNames: L[] = []): Gauge<L> {
    return new Gauge({ name, help, labelNames, registers: [this.#registry] });
  }

  #counter<L extends string>(name: string, help: string, labelNames: L[] = []): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
  }
}
