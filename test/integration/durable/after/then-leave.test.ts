/** A job that another one follows, and that waited for leave by a limit while another manager stored its outcome. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DurableNames } from "../../../../mesh/durable/names.js";
import { encodeOutcome } from "../../../../mesh/durable/outcome.js";
import { JobResult } from "../../../../mesh/job/job.js";
import { LEAVE_LOOK_MS } from "../../../../services/manager/durable/limits/pool-limits.js";
import { connectBus } from "../../../support/broker.js";
import { startDurableMesh } from "../../../support/durable-mesh.js";
import { leakGuard } from "../../../support/leak-guard.js";
import { eventually, gate } from "../../../support/wait.js";

leakGuard();
const { servers, service, startPool } = await startDurableMesh();

test("then - a job that has leave and turns out to have ended gives the leave back, so the next ones of its key run", async (t) => {
  const pool = "then-leave";
  const held = gate();
  t.after(() => held.open());
  const ran: unknown[] = [];
  const run = async ({ payload }: { readonly payload: unknown }): Promise<unknown> => {
    ran.push(payload);
    if (payload === 1) await held.promise;
    return payload;
  };
  const [client, lane] = await startPool(t, pool, run, { slots: 4, graceMs: 100 });
  await lane.limits.set({ target: "each-key", running: 1 });
  const own = () => service.pools?.durable?.of(service.pools.get(pool));
  await eventually(() => own()?.limits.current.size === 1);
  const first = await client.enqueue("1", { concurrencyKey: "k" });
  await eventually(() => ran.length === 1);
  const second = await client.enqueue("2", { concurrencyKey: "k", then: { pool } });
  const third = await client.enqueue("3", { concurrencyKey: "k" });
  await eventually(() => own()?.limited === 2);
  const waitsSinceMs = performance.now();
  const result = new JobResult(second.id, Buffer.from("20"), "", 1, 0, 0);
  const facts = { sequence: second.sequence, manager: "another", attempt: 1, enqueuedAt: 0, endedAt: 0, client: "" };
  const { headers, payload } = encodeOutcome({ ok: true, id: second.id, result }, facts);
  const bus = await connectBus(t, { url: servers });
  await bus.nc.request(new DurableNames().outcome(pool, second.id), payload, { headers, timeout: 5_000 });
  // What has waited for less is taken to be as it was.
  await eventually(() => performance.now() - waitsSinceMs > 2 * LEAVE_LOOK_MS);
  held.open();
  for (const receipt of [first, third]) await receipt.result({ timeoutMs: 10_000 });
  await eventually(() => ran.includes(20), { what: "the job that follows runs" });
  assert.deepEqual([...ran].sort(), [1, 20, 3]);
});
