/** The command line as a door: bytes, cancel, deadline and bad input, as on every other door. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes } from "../../../mesh/job/codec.js";
import { HEADER_RESERVE_BYTES } from "../../../mesh/wire/headers.js";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { type HeldJob, heldJob } from "../../support/core/held-job.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { type Exit, startCli } from "../../support/process.js";
import { seededRandom } from "../../support/random.js";
import { eventually, within } from "../../support/wait.js";

const MAX_PAYLOAD_BYTES = 64 * 1024;
const LIMIT = MAX_PAYLOAD_BYTES - HEADER_RESERVE_BYTES;

leakGuard();
const mesh = await startMesh(WHOLE_FILE, { broker: { maxPayloadBytes: MAX_PAYLOAD_BYTES } });
let ran = 0;
await mesh.addWorker({ pool: "echo", codec: bytes, run: (job) => count(job.payload) });
const jobs = new Map<string, HeldJob>();
const holder = await mesh.addWorker({ pool: "held", run: (job) => (jobs.get(job.id) as HeldJob).run(job) });
await mesh.untilCapacity("held", 1);

function count<T>(value: T): T {
  ran += 1;
  return value;
}

function cli(t: Parameters<typeof startCli>[0], args: readonly string[], input: string | Uint8Array = "") {
  return startCli(t, args, { env: { NATS_URL: mesh.natsUrl }, input });
}

for (const way of [[], ["--direct"]]) {
  const name = ["poolmesh submit", ...way].join(" ");

  test(`${name}: 0 bytes and the most there may be come back, one more is payload_too_large`, async (t) => {
    for (const size of [0, LIMIT]) {
      const sent = noise(size);
      const command = cli(t, ["submit", "echo", "-", "--json", "--codec", "bytes", ...way], sent);
      const { code, stdout, stderr } = await command.exit();
      assert.equal(code, 0, stderr);
      const { result, resultBase64 = result } = JSON.parse(stdout) as { result?: string; resultBase64?: string };
      assert.deepEqual(Buffer.from(resultBase64 ?? "", "base64"), Buffer.from(sent), `${size} bytes`);
    }
    const before = ran;
    const refused = await cli(t, ["submit", "echo", "-", ...way], noise(LIMIT + 1)).exit();
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /^poolmesh: payload_too_large: payload: /);
    assert.equal(ran, before);
  });

  test(`${name}: Ctrl-C cancels the job and its handler hears it`, async (t) => {
    const { id, job } = hold(`interrupt${way.length}`);
    const command = cli(t, ["submit", "held", "1", "--id", id, ...way]);
    await within(job.started, { what: "the start of the handler" });
    const begunAt = performance.now();
    command.signal("SIGINT");
    const abortedAt = await within(job.aborted, { what: "the handler's signal" });
    t.diagnostic(`the handler's signal fired after ${Math.round(abortedAt - begunAt)} ms`);
    const { code, stdout } = await command.exit();
    assert.equal(code, 130);
    assert.equal(stdout, "");
    await eventually(() => holder.busy === 0, { what: "a free slot" });
  });

  test(`${name}: the deadline reaches the handler`, async (t) => {
    const { id, job } = hold(`deadline${way.length}`);
    const { code, stderr } = await cli(t, ["submit", "held", "1", "--id", id, "--timeout-ms", "2500", ...way]).exit();
    assert.equal(code, 1);
    assert.match(stderr, /^poolmesh: deadline_exceeded: /);
    await within(job.aborted, { what: "the handler's signal" });
    await eventually(() => holder.busy === 0, { what: "a free slot" });
  });
}

const REFUSED: [args: string[], code: number, pattern: RegExp][] = [
  [["submit", "a b", "1"], 2, /invalid_argument: pool name/],
  [["submit", "a 0\r\nPUB echo-me 0\r\n", "1"], 2, /invalid_argument: pool name/],
  [["submit", "echo", "1", "--id", ">".repeat(5_000)], 2, /invalid_argument: job name has 5000 characters/],
  [["submit", "echo", "1", "--timeout-ms", "NaN"], 78, /--timeout-ms: use a whole number/],
  [["submit", "echo", "1", "--timeout-ms", "1e308"], 78, /--timeout-ms: use a whole number/],
  [["submit", "echo", "1", "--client", "a b"], 2, /invalid_argument: client/],
  [["submit", "echo", "{", "--codec", "json"], 2, /invalid_argument: payload: not valid json/],
  [["cancel", "echo", "nobody"], 1, /not_found/],
  [["drain", "nobody"], 1, /not_found/],
  [["drain", "a b"], 2, /invalid_argument: worker name/],
];

for (const [args, code, pattern] of REFUSED) {
  const title = JSON.stringify(args.map((arg) => arg.slice(0, 30))).slice(1, -1);
  test(`poolmesh ${title} exits with ${code} and says why in a few lines`, async (t) => {
    const before = ran;
    const end: Exit = await cli(t, args).exit();
    assert.match(end.stderr, pattern);
    assert.equal(end.code, code, end.stderr);
    assert.equal(end.stdout, "");
    assert.ok(end.stderr.length < 1_000 && !end.stderr.includes("echo-me"), end.stderr.slice(0, 500));
    assert.doesNotMatch(end.stderr, /\bat .*:\d+:\d+/);
    assert.equal(ran, before);
  });
}

function hold(id: string): { id: string; job: HeldJob } {
  const job = heldJob();
  jobs.set(id, job);
  return { id, job };
}

function noise(size: number): Uint8Array {
  const random = seededRandom(size);
  return Uint8Array.from({ length: size }, () => Math.floor(random() * 256));
}
