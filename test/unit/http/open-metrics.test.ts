/** Metrics as OpenMetrics, with the trace of a job beside a bucket. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Counter, Gauge, Registry } from "prom-client";
import { acceptsOpenMetrics, openMetrics } from "../../../mesh/trace/open-metrics.js";
import { JobExemplars } from "../../../services/manager/inspect/job-exemplars.js";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";

test("open metrics - a scraper gets them when it accepts them, in whatever order it says so", () => {
  const prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1";
  for (const accept of [prometheus, "text/plain, application/openmetrics-text", "Application/OpenMetrics-Text;q=1"]) {
    assert.equal(acceptsOpenMetrics(accept), true, accept);
  }
  for (const accept of [undefined, "", "*/*", "text/plain", "application/openmetrics-text2"]) {
    assert.equal(acceptsOpenMetrics(accept), false, accept);
  }
});

test("open metrics - a counter's family has no suffix, its samples have it, and the text has an end", async () => {
  const registry = new Registry();
  new Counter({ name: "jobs_total", help: 'Jobs "taken".', labelNames: ["pool"], registers: [registry] }).inc(
    { pool: "adder" },
    3,
  );
  new Gauge({ name: "slots", help: "Slots.", registers: [registry] }).set(2);
  assert.deepEqual(openMetrics(await registry.metrics(), new Map()).split("\n"), [
    '# HELP jobs Jobs \\"taken\\".',
    "# TYPE jobs counter",
    'jobs_total{pool="adder"} 3',
    "# HELP slots Slots.",
    "# TYPE slots gauge",
    "slots 2",
    "# EOF",
    "",
  ]);
});

test("open metrics - each traced job is named beside the bucket that it is in, the newest of them", () => {
  const exemplars = new JobExemplars();
  const labels = { pool: "adder", outcome: "ok" };
  for (const [ms, traceId] of [
    [3, "1".repeat(32)],
    [3.5, TRACE],
    [4, "2".repeat(32)],
    [-1, "3".repeat(32)],
    [1e9, "4".repeat(32)],
  ] as const) {
    exemplars.add("wait", labels, ms, { traceId, wallMs: 1_500 });
  }
  const bucket = (le: string): string =>
    `poolmesh_manager_job_wait_seconds_bucket{pool="adder",outcome="ok",le="${le}"} 7`;
  const text = ["0.001", "0.002", "0.004", "0.008", "+Inf"].map(bucket).join("\n");
  assert.deepEqual(openMetrics(text, exemplars.all).split("\n"), [
    `${bucket("0.001")} # {trace_id="${"3".repeat(32)}"} 0 1.5`,
    bucket("0.002"),
    `${bucket("0.004")} # {trace_id="${TRACE}"} 0.0035 1.5`,
    `${bucket("0.008")} # {trace_id="${"2".repeat(32)}"} 0.004 1.5`,
    `${bucket("+Inf")} # {trace_id="${"4".repeat(32)}"} 1000000 1.5`,
    "# EOF",
    "",
  ]);
});
