/**
 * The manager's Prometheus metrics. Series are bounded: per pool and outcome,
 * never per job, worker or client.
 */
import { Counter, Gauge, Registry } from "prom-client";
import type { Bus } from "../../mesh/link/bus.js";
import { figuresOf } from "./heartbeat.js";
import { addDurationMetrics } from "./inspect/duration-metrics.js";
import { addLaneMetrics } from "./lane-metrics.js";
import type { Pools } from "./pools.js";

/** A registry whose values are read from the pools when it is scraped. */
export function managerMetrics(pools: Pools, bus: Pick<Bus, "droppedReplies" | "refusals">): Registry {
  const registry = new Registry();
  const registers = [registry];
  const perPool = { labelNames: ["pool"], registers };
  new Gauge({
    ...perPool,
    name: "poolmesh_manager_parked_jobs",
    help: "Jobs held until a slot is free.",
    collect() {
      this.reset();
      for (const { name, dispatcher } of pools.shown()) this.set({ pool: name }, dispatcher.parked.size);
    },
  });
  new Gauge({
    ...perPool,
    name: "poolmesh_manager_parked_bytes",
    help: "Payload bytes of jobs held.",
    collect() {
      this.reset();
      for (const { name, dispatcher } of pools.shown()) this.set({ pool: name }, dispatcher.parked.bytes);
    },
  });
  new Gauge({
    ...perPool,
    name: "poolmesh_manager_oldest_wait_seconds",
    help: "Age of the oldest job held.",
    collect() {
      this.reset();
      for (const pool of pools.shown()) this.set({ pool: pool.name }, oldestWaitMs(pool, pools) / 1_000);
    },
  });
  new Gauge({
    ...perPool,
    name: "poolmesh_manager_in_flight_jobs",
    help: "Jobs sent to workers and not ended.",
    collect() {
      this.reset();
      for (const { name, dispatcher } of pools.shown()) this.set({ pool: name }, dispatcher.sentJobs);
    },
  });
  counter(registers, "poolmesh_manager_jobs_submitted_total", "Jobs taken.", pools, ({ totals }) => totals.submitted);
  counter(
    registers,
    "poolmesh_manager_refusals_total",
    "Busy replies of workers.",
    pools,
    ({ totals }) => totals.refused,
  );
  counter(
    registers,
    "poolmesh_manager_late_replies_total",
    "Replies dropped as late or stale.",
    pools,
    ({ totals }) => totals.late,
  );
  counter(
    registers,
    "poolmesh_manager_stranger_replies_total",
    "Replies that are no answer of a worker, dropped.",
    pools,
    ({ totals }) => totals.strangers,
  );
  new Gauge({
    name: "poolmesh_manager_covering_stream",
    help: "1 for each JetStream stream that captures a pool's job subjects: it answers in the place of workers or managers.",
    labelNames: ["pool", "stream"],
    registers,
    collect() {
      this.reset();
      for (const { name, dispatcher } of pools.known()) {
        if (dispatcher.stream !== undefined) this.set({ pool: name, stream: dispatcher.stream }, 1);
      }
    },
  });
  new Counter({
    name: "poolmesh_manager_jobs_total",
    help: "Jobs ended, by outcome: ok or the reason of the error.",
    labelNames: ["pool", "outcome"],
    registers,
    collect() {
      this.reset();
      for (const { name, totals } of pools.shown()) {
        for (const [outcome, { count }] of totals.outcomes()) this.inc({ pool: name, outcome }, count);
      }
    },
  });
  new Counter({
    name: "poolmesh_manager_garbage_heartbeats_total",
    help: "Heartbeats dropped as garbage.",
    registers,
    collect() {
      this.reset();
      this.inc(pools.garbageHeartbeats);
    },
  });
  new Counter({
    name: "poolmesh_manager_dropped_replies_total",
    help: "Messages dropped since their reply subject is no inbox.",
    registers,
    collect() {
      this.reset();
      this.inc(bus.droppedReplies.total);
    },
  });
  new Counter({
    name: "poolmesh_manager_refused_by_broker_total",
    help: "Messages and subscriptions that the broker refused: a permission is missing.",
    registers,
    collect() {
      this.reset();
      this.inc(bus.refusals);
    },
  });
  addDurationMetrics(registry, pools);
  addLaneMetrics(registry, pools);
  return registry;
}

function oldestWaitMs(pool: KnownPool, pools: Pools): number {
  return figuresOf(pool, pools.runtime.now()).oldestWaitMs;
}

type KnownPool = Pools extends { shown(): Iterable<infer P> } ? P : never;

function counter(
  registers: Registry[],
  name: string,
  help: string,
  pools: Pools,
  value: (pool: KnownPool) => number,
): void {
  new Counter({
    name,
    help,
    labelNames: ["pool"],
    registers,
    collect() {
      this.reset();
      for (const pool of pools.shown()) this.inc({ pool: pool.name }, value(pool));
    },
  });
}
