/** Who may submit to any pool can name many that nobody serves, and shuts out none that somebody serves. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { rpcErrorOf } from "../../support/doors/http-service.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const mesh = await startMesh(WHOLE_FILE, { manager: { maxPools: 4 } });
const { client } = mesh;
const waitFor = (pool: string) =>
  client.detachSubmit({ job: { pool, waitForPool: true, timeoutMs: 60_000n, input: { case: "text", value: "1" } } });

test("jobs that wait for pools which nobody serves fill half of the pools, and the others are for who has workers", async () => {
  await waitFor("nobody-1");
  await waitFor("nobody-2");
  const error = await rpcErrorOf(waitFor("nobody-3"));
  assert.deepEqual([error.reason, error.field, error.retryable], ["pool_full", "pool", true]);
  await waitFor("nobody-1");
  for (const pool of ["served-1", "served-2"]) {
    await mesh.addWorker({ pool, run: ({ payload }) => payload });
    await eventually(async () => (await client.submit({ pool, input: { case: "text", value: "1" } })).jobId !== "");
  }
});
