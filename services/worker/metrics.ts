/**
 * A worker's Prometheus metrics, and the port where it serves them when it is asked to.
 *
 * Series are bounded: those of one worker, and of its runs by outcome, never of a job or a client.
 */

import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { WorkerState } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { type EdgeOptions, edgeOf } from "../../mesh/http/edge-options.js";
import { HttpServer } from "../../mesh/http/server.js";
import { DURATION_BOUNDS_MS } from "../../mesh/job/containers.js";
import type { Logger } from "../../mesh/process/log.js";
import type { JobTotals } from "./jobs/running-jobs.js";
import type { WorkerEvents } from "./worker-events.js";

/** The bounds of run times, in seconds. */
const BOUNDS = DURATION_BOUNDS_MS.map((ms) => ms / 1_000);
const KNOWN_STATES = ["starting", "ready", "paused", "draining", "stopped"] as const;

/** What is measured. All of it is asked for when the metrics are read. */
export interface MeasuredWorker {
  readonly pool: string;
  readonly id: string;
  readonly state: () => WorkerState;
  readonly slots: () => { readonly total: number; readonly busy: number };
  readonly totals: () => JobTotals;
  readonly events: WorkerEvents;
}

/** The server of a worker's `/metrics`, `/healthz` and `/readyz`; not started yet. */
export function metricsServer(worker: MeasuredWorker, edge: EdgeOptions, log: Logger): HttpServer {
  const metrics = workerMetrics(worker);
  return new HttpServer({
    ...edgeOf(edge),
    routes: () => {},
    services: [],
    isReady: () => worker.state() === WorkerState.READY || `the worker is ${stateWord(worker.state())}`,
    metrics: () => metrics.metrics(),
    log,
  });
}

/** A registry whose values are read from the worker when it is scraped. */
export function workerMetrics({ pool, id, state, slots, totals, events }: MeasuredWorker): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ pool, worker: id });
  const registers = [registry];
  const gauge = (name: string, help: string, value: () => number): void => {
    new Gauge({
      ...{ name: `poolmesh_worker_${name}`, help, registers },
      collect() {
        this.set(value());
      },
    });
  };
  const counter = (name: string, help: string, value: (now: JobTotals) => number): void => {
    new Counter({
      ...{ name: `poolmesh_worker_${name}_total`, help, registers },
      collect() {
        this.reset();
        this.inc(value(totals()));
      },
    });
  };
  gauge("slots", "Jobs that run at once.", () => slots().total);
  gauge("busy_slots", "Slots that hold a job.", () => slots().busy);
  new Gauge({
    ...{
      name: "poolmesh_worker_state",
      help: "1 for the state that the worker is in.",
      labelNames: ["state"],
      registers,
    },
    collect() {
      for (const each of KNOWN_STATES) this.set({ state: each }, each === stateWord(state()) ? 1 : 0);
    },
  });
  counter("jobs_accepted", "Jobs started.", (now) => now.acceptedTotal);
  counter("jobs_done", "Jobs ended with a result.", (now) => now.doneTotal);
  counter("jobs_failed", "Jobs ended with an error.", (now) => now.failedTotal);
  counter("busy_seconds", "Time that slots held jobs which have ended.", (now) => now.busyMs / 1_000);
  const run = new Histogram({
    ...{ name: "poolmesh_worker_job_run_seconds", help: "From the start of a job to its outcome.", registers },
    ...{ labelNames: ["outcome"], buckets: BOUNDS },
  });
  events.on("job:complete", ({ durationMs, error }) =>
    run.observe({ outcome: error?.reason ?? "ok" }, durationMs / 1_000),
  );
  return registry;
}

function stateWord(state: WorkerState): string {
  return (WorkerState[state] ?? "").toLowerCase();
}
