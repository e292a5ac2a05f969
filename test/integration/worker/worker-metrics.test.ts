/** What workers and managers serve to Prometheus of their jobs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PermanentError } from "../../../mesh/errors.js";
import { DURATION_BOUNDS_MS } from "../../../mesh/job/containers.js";
import { Worker } from "../../../services/worker/worker.js";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const mesh = await startMesh(WHOLE_FILE);
const POOL = "measured";
const worker = await mesh.addWorker<string, string>({
  pool: POOL,
  id: "w1",
  slots: 3,
  codec: "text",
  run: ({ payload }) => {
    if (payload === "bad") throw new PermanentError("no");
    return payload;
  },
  metrics: { listen: { host: "127.0.0.1", port: 0 } },
});
await mesh.untilCapacity(POOL, 3);
const submit = (value: string) => mesh.client.submit({ pool: POOL, input: { case: "text", value } }).catch(() => {});

/** The samples of a page in Prometheus' text form. */
async function scrape(url: string): Promise<Map<string, number>> {
  const answer = await fetch(`${url}/metrics`);
  assert.equal(answer.status, 200);
  const lines = (await answer.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]),
  );
}

test("a worker serves its slots, its jobs and how long they ran, where it is asked to", async () => {
  for (const value of ["a", "b", "bad"]) await submit(value);
  const url = worker.metricsUrl ?? assert.fail("no URL");
  const labels = `pool="${POOL}",worker="w1"`;
  await eventually(async () => (await scrape(url)).get(`poolmesh_worker_jobs_done_total{${labels}}`) === 2);
  const samples = await scrape(url);
  const of = (name: string): number | undefined => samples.get(`poolmesh_worker_${name}{${labels}}`);
  assert.deepEqual([of("slots"), of("busy_slots"), of("jobs_accepted_total"), of("jobs_failed_total")], [3, 0, 3, 1]);
  const runs = [...samples].filter(([name]) => name.startsWith("poolmesh_worker_job_run_seconds_count"));
  assert.deepEqual(runs.map(([name, value]) => [/outcome="(\w+)"/.exec(name)?.[1], value]).sort(), [
    ["job_rejected", 1],
    ["ok", 2],
  ]);
  assert.equal(samples.get(`poolmesh_worker_state{state="ready",${labels}}`), 1);
  for (const path of ["/healthz", "/readyz"]) assert.equal((await fetch(url + path)).status, 200);
  await worker.pause();
  assert.equal((await fetch(`${url}/readyz`)).status, 503);
  await worker.resume();
});

test("a worker that cannot have its port does not start, and one that others can reach needs a policy or says that it does without", async () => {
  const taken = Number(new URL(worker.metricsUrl ?? "").port);
  for (const [host, port, reason] of [
    ["127.0.0.1", taken, /address is in use|EADDRINUSE|in use/],
    ["0.0.0.0", 0, /other machines can reach this address/],
  ] as const) {
    const other = new Worker({
      ...{ pool: POOL, servers: mesh.natsUrl, run: () => "", graceMs: 0 },
      metrics: { listen: { host, port } },
    });
    await assert.rejects(other.start(), (error: Error) => reason.test(error.message));
    await other.stop();
  }
});

test("a manager serves histograms of waiting, running and both, by pool and outcome, that add up", async () => {
  const samples = await scrape(mesh.manager.url);
  for (const which of ["wait", "run", "total"]) {
    for (const [outcome, count] of [
      ["ok", 2],
      ["job_rejected", 1],
    ] as const) {
      const name = `poolmesh_manager_job_${which}_seconds`;
      const labels = `pool="${POOL}",outcome="${outcome}"`;
      assert.equal(samples.get(`${name}_count{${labels}}`), count, `${name} ${outcome}`);
      assert.equal(samples.get(`${name}_bucket{${labels},le="+Inf"}`), count);
      const buckets = [...samples]
        .filter(([each]) => each.startsWith(`${name}_bucket{${labels}`))
        .map(([, value]) => value);
      assert.equal(buckets.length, DURATION_BOUNDS_MS.length + 1);
      assert.deepEqual(
        buckets,
        [...buckets].sort((a, b) => a - b),
        "cumulative",
      );
      assert.ok((samples.get(`${name}_sum{${labels}}`) ?? -1) >= 0);
    }
  }
});
