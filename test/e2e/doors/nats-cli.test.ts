/** The nats command as a full citizen: examples/nats-cli/session.txt, waiting, cancel, and bare workers. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { test } from "node:test";
import { HEADER_RESERVE_BYTES } from "../../../mesh/wire/headers.js";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { heldJob } from "../../support/core/held-job.js";
import { readTranscript, runStep } from "../../support/docs/transcript.js";
import { EMPTY_INPUT } from "../../support/doors/doors.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { run, startProcess } from "../../support/process.js";
import { programFile } from "../../support/program-file.js";
import { seededRandom } from "../../support/random.js";
import { toolPath, without } from "../../support/tools.js";
import { eventually, gate, within } from "../../support/wait.js";

const skip = without("nats");
leakGuard();
const mesh = await startMesh(WHOLE_FILE);
const nats = skip === false ? toolPath("nats") : "nats";
const env = { NATS_URL: mesh.natsUrl, PATH: `${dirname(nats)}:${process.env.PATH}` };
const adder = await mesh.addWorker({
  pool: "adder",
  id: "w1",
  handlerFile: programFile("../../../examples/handlers/adder", import.meta.url),
});
await mesh.untilCapacity("adder", 1);

for (const step of await readTranscript("examples/nats-cli/session.txt")) {
  test(`nats: ${step.command}`, { skip }, (t) => runStep(t, step, env));
}

test("a worker that was told to drain by `nats pub` leaves", { skip }, async () => {
  assert.equal(await within(adder.closed), undefined);
});

test("`nats req` on a busy pool waits, and prints the result when its turn comes", { skip }, async (t) => {
  const first = gate<number>();
  await mesh.addWorker<number, number>({
    pool: "busy",
    run: (job) => (job.payload === 0 ? first.promise : job.payload + 1),
  });
  const blocker = mesh.client.submit({ pool: "busy", input: { case: "text", value: "0" } });
  await mesh.untilCapacity("busy", 1, 1);
  const request = startProcess(t, nats, ["req", "--raw", "--timeout", "30s", "pool.busy.submit", "41"], { env });
  await eventually(async () => /parked_jobs\{pool="busy"\} 1/.test(await metrics()), { what: "a parked job" });
  assert.equal(request.stdout, "");
  first.open(0);
  await blocker;
  assert.equal((await request.exit()).stdout.trimEnd(), "42");
});

test("`nats req` of a job finds no slot: told at once where to wait for one", { skip }, async (t) => {
  const held = gate();
  await mesh.addWorker({ pool: "full", run: () => held.promise }, t);
  const blocker = mesh.client.submit({ pool: "full", input: EMPTY_INPUT });
  await mesh.untilCapacity("full", 1, 1);
  const { stdout } = await run(t, nats, ["req", "--raw", "pool.full.job", "41"], { env });
  assert.match(stdout, /^pool_full: .*pool\.full\.submit/);
  held.open();
  await blocker;
});

test("`nats pub pool.P.cancel.J` ends a running job and its handler hears it", { skip }, async (t) => {
  const held = heldJob();
  await mesh.addWorker({ pool: "cancel", run: held.run }, t);
  const args = ["req", "--raw", "--timeout", "30s", "-H", "Pool-Job-Id:j1", "pool.cancel.submit", "1"];
  const request = startProcess(t, nats, args, { env });
  await within(held.started);
  await run(t, nats, ["pub", "pool.cancel.cancel.j1", ""], { env });
  await within(held.aborted, { what: "the handler's signal" });
  assert.match((await request.exit()).stdout, /^canceled: /);
});

test("`nats req` carries bytes both ways up to the limit", { skip }, async (t) => {
  await mesh.addWorker({ pool: "echo", codec: "bytes", run: (job) => job.payload }, t);
  await mesh.untilCapacity("echo", 1);
  const limit = 1024 * 1024 - HEADER_RESERVE_BYTES;
  for (const size of [1, 255, 256, 65_535, limit - 1, limit]) {
    const { sent, got } = await echo(t, size);
    assert.ok(got.startsWith(sent) && got.slice(size).trim() === "", `${size} bytes come back`);
  }
  assert.match((await echo(t, limit + 1)).got, /^payload_too_large: payload: 1048065 bytes/);
});

test("`nats reply` is a worker: it gets jobs, and answers even when its command fails", { skip }, async (t) => {
  const args = ["reply", "pool.bare.job", "--queue", "workers", "--command", "sh -c 'expr {{.Request}} + 1'"];
  startProcess(t, nats, args, { env });
  const submit = (text: string) =>
    mesh.client.submit({ pool: "bare", waitForPool: true, timeoutMs: 20_000n, input: { case: "text", value: text } });
  const results = await Promise.all([1, 2, 3, 41].map((value) => submit(String(value))));
  assert.deepEqual(
    results.map(({ output }) => String(output.value).trim()),
    ["2", "3", "4", "42"],
  );
  assert.ok(results.every(({ worker }) => worker === ""));
  const failed = await submit("x");
  assert.doesNotMatch(String(failed.output.value), /^\d+$/);
  const { stdout } = await run(t, nats, ["req", "--raw", "pool.bare.submit", "41"], { env });
  assert.equal(stdout.trimEnd(), "42");
});

/** Sends random bytes; Latin-1 strings stand for bytes here. No brace: the command takes them for templates. */
async function echo(t: Parameters<typeof run>[0], size: number): Promise<{ sent: string; got: string }> {
  const random = seededRandom(size);
  const body = Buffer.from(Array.from({ length: size }, () => Math.floor(random() * 0x7a)));
  const shell = `"${nats}" req --raw --timeout 20s pool.echo.submit | base64 -w0`;
  const { stdout } = await run(t, "bash", ["-c", shell], { env, input: body });
  return { sent: body.toString("latin1"), got: Buffer.from(stdout, "base64").toString("latin1") };
}

async function metrics(): Promise<string> {
  return (await fetch(`${mesh.manager.url}/metrics`)).text();
}
