/** What a manager's /metrics says of the durable lane. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { Client } from "../../../client/client.js";
import { PermanentError } from "../../../mesh/errors.js";
import { ManagerService } from "../../../services/manager/service.js";
import { Worker } from "../../../services/worker/worker.js";
import { startBroker } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { eventually, gate } from "../../support/wait.js";

leakGuard();
const POOL = "metrics";
const SERIES = /^poolmesh_manager_durable_(\w+)\{pool="metrics"\} (\S+)$/gm;
const OF_STREAM = ["dead_letters", "oldest_job_seconds", "paused", "queued_jobs", "scheduled_jobs"];
const HELD_BACK = 40;
const LONG_MS = 600_000;

test("durable - /metrics tells what of a pool is queued, held, retrying and dead, and how old the oldest job is", async (t) => {
  const broker = await startBroker(t);
  const bus = { servers: broker.url };
  const listen = { host: "127.0.0.1", port: 0 };
  const service = new ManagerService({ bus, listen, graceMs: 0, durable: true, pools: [POOL] });
  cleanUp(t, () => service.stop());
  await service.start();
  const held = gate();
  const run = async ({ payload }: { payload: unknown }): Promise<unknown> => {
    if (payload === "rejected") throw new PermanentError("never");
    if (payload === "fails") throw new Error("later");
    if (payload === "waits") await held.promise;
    return payload;
  };
  const worker = new Worker({ pool: POOL, slots: 1, graceMs: 0, ...bus, run });
  cleanUp(t, () => worker.stop());
  await worker.start();
  const client = await Client.connect({ pool: POOL, ...bus });
  cleanUp(t, () => client.close());
  cleanUp(t, () => broker.stop());
  const scrape = async (): Promise<Record<string, number>> => {
    const text = await (await fetch(`${service.url}/metrics`)).text();
    return Object.fromEntries([...text.matchAll(SERIES)].map(([, name, value]) => [name, Number(value)]));
  };

  await (await client.enqueue('"ok"')).result({ timeoutMs: 10_000 });
  await client.enqueue('"rejected"');
  await client.enqueue('"fails"', { backoff: { baseMs: LONG_MS, capMs: LONG_MS } });
  const settled = await eventually(async () => {
    const found = await scrape();
    const isSettled = found.retrying_jobs === 1 && found.dead_letters === 1 && found.held_jobs === 0;
    return isSettled && found.queued_jobs === 0 ? found : undefined;
  });
  const { oldest_job_seconds: oldest = -1, ...counted } = settled;
  assert.ok(oldest > 0, "the job that waits is in the stream");
  const waiting = { queued_jobs: 0, scheduled_jobs: 0, paused: 0, held_jobs: 0, limited_jobs: 0 };
  const none = { ...waiting, batches_completed_total: 0, late_outcomes_total: 0, joined_total: 0 };
  const some = { dead_letters: 1, retrying_jobs: 1, given_back_total: 1, dead_total: 1, results_total: 1 };
  assert.deepEqual(counted, { ...none, ...some, deliveries_total: 3 });

  for (let i = 0; i < HELD_BACK; i += 1) await client.enqueue('"waits"');
  const full = await eventually(async () => {
    const found = await scrape();
    return (found.queued_jobs ?? 0) + (found.held_jobs ?? 0) === HELD_BACK ? found : undefined;
  });
  assert.ok((full.held_jobs ?? 0) > 0 && (full.queued_jobs ?? 0) > 0, "the rest stays in the stream");

  const documented = await readFile("docs/durable.md", "utf8");
  for (const name of Object.keys(full)) assert.ok(documented.includes(`\`poolmesh_manager_durable_${name}\``), name);

  await broker.stop();
  const cut = await eventually(async () => {
    const found = await scrape();
    return OF_STREAM.some((name) => name in found) ? undefined : found;
  });
  assert.ok((cut.held_jobs ?? 0) > 0, "what is not known is absent, and what the manager knows is there");
});
