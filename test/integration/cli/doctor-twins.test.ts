/** Live processes that share an id, as their logs and `poolmesh doctor` tell it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Finding } from "../../../cli/doctor/finding.js";
import { ManagerService } from "../../../services/manager/service.js";
import { cleanUp } from "../../support/clean-up.js";
import { runInShell } from "../../support/docs/fake-shell.js";
import { leakGuard } from "../../support/leak-guard.js";
import { readableLog } from "../../support/log-lines.js";
import { startMesh } from "../../support/mesh.js";
import { eventually } from "../../support/wait.js";

leakGuard();

test("doctor - managers and workers that share an id are named, and a manager's log says it", async (t) => {
  const mesh = await startMesh(t, { manager: { id: "m1" } });
  for (const pool of ["adder", "adder", "other"]) await mesh.addWorker({ pool, id: "w1", run: () => 1 });
  const { log, named } = readableLog();
  const twin = new ManagerService({
    id: "m1",
    bus: { servers: mesh.natsUrl },
    log,
    listen: { host: "127.0.0.1", port: 0 },
    graceMs: 0,
  });
  cleanUp(t, () => twin.stop());
  await twin.start();

  const { code, stdout } = await runInShell(["doctor", "--json"], { NATS_URL: mesh.natsUrl });
  const bad = (JSON.parse(stdout) as Finding[]).filter(({ state }) => state === "bad");
  assert.equal(code, 1);
  assert.deepEqual(
    bad.map(({ what, found }) => [what, found]),
    [
      ["managers", '2 managers with the id "m1"'],
      ["workers", '2 workers with the id "w1" of "adder"'],
    ],
  );
  assert.match(bad[0]?.advice ?? "", /give each its own --id/);

  const said = "another live manager has this id: give each its own (--id)";
  await eventually(() => named(said).length === 1, { what: "a line of the log" });
  assert.equal(named(said)[0]?.manager, "m1");
});

test("doctor - whose ids are their own is not named", async (t) => {
  const mesh = await startMesh(t);
  for (const id of ["w1", "w2"]) await mesh.addWorker({ pool: "adder", id, run: () => 1 });
  const { stdout } = await runInShell(["doctor", "--json"], { NATS_URL: mesh.natsUrl });
  const named = (JSON.parse(stdout) as Finding[]).filter(({ found }) => found.includes("with the id"));
  assert.deepEqual(named, []);
});
