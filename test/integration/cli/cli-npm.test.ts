/** A worker that npm has started: npm ends at SIGTERM without passing it on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startBroker } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { runInShell } from "../../support/docs/fake-shell.js";
import { leakGuard } from "../../support/leak-guard.js";
import { CLI, startProcess } from "../../support/process.js";
import { programFile } from "../../support/program-file.js";
import { allGone } from "../../support/up.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const SLOW = programFile("../../../examples/handlers/slow", import.meta.url);

interface State {
  readonly pid: number;
  readonly busy?: number;
}

test("a worker whose npm has gone finishes its job and ends, as at SIGTERM", async (t) => {
  const broker = await startBroker(t);
  const env = { NATS_URL: broker.url };
  const worker = `node ${CLI.join(" ")} worker --pool slow --handler ${SLOW}`;
  const npm = startProcess(t, "npm", ["exec", "-c", worker], { env });
  await npm.line(/worker ready/, 60_000);
  const job = runInShell(["submit", "slow", "10000", "--direct"], env);
  const { pid } = await eventually(async () => {
    const { stdout } = await runInShell(["workers", "slow", "--json"], env);
    return (JSON.parse(stdout) as State[]).find(({ busy }) => busy === 1);
  });
  cleanUp(t, () => {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // it has ended, as it should
    }
  });
  npm.signal("SIGTERM");
  const { code, stdout } = await job;
  assert.deepEqual([code, stdout], [0, '{"waitedMs":10000}']);
  await allGone([pid]);
  assert.match((await npm.exit()).stdout, /worker stopped/);
});
