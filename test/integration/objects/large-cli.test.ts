/** `--large-payloads` of worker, submit, enqueue and map. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { Worker } from "../../../services/worker/worker.js";
import { cleanUp } from "../../support/clean-up.js";
import { runInShell } from "../../support/docs/fake-shell.js";
import { startMesh } from "../../support/mesh.js";
import { CLI, run, startCli } from "../../support/process.js";
import { scratchFolder } from "../../support/up.js";
import { eventually } from "../../support/wait.js";

const MIB = 2 ** 20;
const HANDLER = `export const codec = "bytes";
export const run = ({ payload }) => payload;`;

test("large payloads - map sends files of 2 MiB to a worker and prints its results, in both lanes", async (t) => {
  const mesh = await startMesh(t, { manager: { durable: true } });
  const content = "abcdefg\n".repeat((2 * MIB) / 8);
  const folder = await scratchFolder(t, { "1.txt": `1${content}`, "2.txt": `2${content}` });
  const servers = mesh.natsUrl;
  const worker = new Worker({
    pool: "files",
    servers,
    largePayloads: true,
    codec: "bytes",
    run: ({ payload }) => payload,
  });
  cleanUp(t, () => worker.stop());
  await worker.start();
  await eventually(() => mesh.manager.pools?.durable?.isOpen("files") === true);
  const map = (...args: string[]) => {
    const words = ["map", "files", "--files", join(folder, "*.txt"), "--large-payloads", "--ordered", ...args];
    return runInShell(words, { NATS_URL: servers });
  };
  for (const lane of [[], ["--durable", "run"]]) {
    const { code, stdout, stderr } = await map(...lane);
    assert.equal(code, 0, stderr);
    const lines = stdout.trim().split("\n");
    const results = lines.map((line) => (JSON.parse(line) as { result: string }).result);
    assert.deepEqual(
      results.map((each) => [each[0], each.length]),
      ["1", "2"].map((first) => [first, content.length + 1]),
    );
  }
  assert.match((await map("--url", mesh.manager.url)).stderr, /large-payloads: contradicts --url/);
});

test("large payloads - submit and enqueue send a payload of 3 MiB from stdin to a worker and print it as it comes back", async (t) => {
  const mesh = await startMesh(t, { manager: { durable: true } });
  const folder = await scratchFolder(t, { "echo.mjs": HANDLER });
  const env = { NATS_URL: mesh.natsUrl };
  startCli(t, ["worker", "--pool", "big", "--handler", join(folder, "echo.mjs"), "--large-payloads"], { env });
  await mesh.untilCapacity("big", 1);
  const input = "0123456789abcde\n".repeat((3 * MIB) / 16);
  const poolmesh = (...args: string[]) => run(t, process.execPath, [...CLI, ...args], { env, input, limitMs: 60_000 });

  const without = await poolmesh("submit", "big", "-");
  assert.notEqual(without.code, 0);
  assert.match(without.stderr, /payload_too_large.*largePayloads/);
  for (const command of [["submit"], ["enqueue", "--wait"]]) {
    const { code, stdout, stderr } = await poolmesh(...command, "big", "-", "--large-payloads");
    assert.equal(code, 0, stderr);
    assert.ok(stdout.endsWith(input.slice(-1_000)), command.join(" "));
  }
  const overHttp = await poolmesh("submit", "big", "-", "--large-payloads", "--url", mesh.manager.url);
  assert.match(overHttp.stderr, /large-payloads: contradicts --url/);
});
