/**
 * How long jobs waited and ran, as Prometheus histograms by pool and outcome.
 *
 * The pools count by themselves (jobs/totals.ts), with tracing or without; here their counts are shown when they are read.
 */
import type { MetricObjectWithValues, MetricValueWithName, Registry } from "prom-client";
import { DURATION_BOUNDS_MS, type TimeHistogram } from "../../../mesh/job/containers.js";
import type { OutcomeTotals } from "../jobs/totals.js";
import type { Pools } from "../pools.js";
import { type DurationKind, durationMetric } from "./job-exemplars.js";

const HISTOGRAMS: readonly [kind: DurationKind, help: string, of: (totals: OutcomeTotals) => TimeHistogram][] = [
  ["wait", "From submit to the sending of the last attempt, to the end where there was none.", ({ wait }) => wait],
  ["run", "From the sending of the last attempt to the outcome.", ({ run }) => run],
  ["total", "From submit to the outcome.", ({ total }) => total],
];

/** Adds `poolmesh_manager_job_wait_seconds`, `…_run_seconds` and `…_total_seconds`. */
export function addDurationMetrics(registry: Registry, pools: Pools): void {
  for (const [kind, help, of] of HISTOGRAMS) {
    const full = durationMetric(kind);
    const metric = { name: full, get: () => Promise.resolve(read(full, help, pools, of)), reset: () => {} };
    // The registry asks a metric for its name and its values, and for nothing else.
    registry.registerMetric(metric as unknown as Parameters<Registry["registerMetric"]>[0]);
  }
}

type Values = MetricObjectWithValues<MetricValueWithName<string>>;

function read(name: string, help: string, pools: Pools, of: (totals: OutcomeTotals) => TimeHistogram): Values {
  const values: MetricValueWithName<string>[] = [];
  for (const { name: pool, totals } of pools.shown()) {
    for (const [outcome, counted] of totals.outcomes()) values.push(...seriesOf(name, { pool, outcome }, of(counted)));
  }
  return { name, help, type: "histogram", aggregator: "sum", values } as unknown as Values;
}

function seriesOf(
  name: string,
  labels: Readonly<Record<string, string>>,
  histogram: TimeHistogram,
): MetricValueWithName<string>[] {
  const { below, all } = histogram.below(DURATION_BOUNDS_MS);
  return [
    ...below.map((value, at) => ({
      metricName: `${name}_bucket`,
      labels: { ...labels, le: (DURATION_BOUNDS_MS[at] as number) / 1_000 },
      value,
    })),
    { metricName: `${name}_bucket`, labels: { ...labels, le: "+Inf" }, value: all },
    { metricName: `${name}_sum`, labels, value: histogram.sumMs / 1_000 },
    { metricName: `${name}_count`, labels, value: all },
  ];
}
