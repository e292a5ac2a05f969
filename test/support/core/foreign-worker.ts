/** What any worker must do, whatever its language: the same tests for the programs of examples/. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Client } from "../../../client/client.js";
import { json } from "../../../mesh/job/codec.js";
import { encodeReference } from "../../../mesh/objects/reference.js";
import { connectBus } from "../broker.js";
import { cleanUp } from "../clean-up.js";
import { failure } from "../failure.js";
import type { Mesh } from "../mesh.js";
import { startProcess, type TestProcess } from "../process.js";
import { eventually } from "../wait.js";
import { JobCaller } from "./job-caller.js";

/** How to start a worker program. */
export interface WorkerProgram {
  readonly language: string;
  readonly skip: string | false;
  /** The command that serves `pool` as worker "w1" with two slots, each job taking `delayMs`. */
  command(t: TestContext, pool: string, delayMs: number): Promise<readonly [string, ...string[]]>;
}

/** Registers the tests of one program. */
export function foreignWorkerTests(mesh: Mesh, program: WorkerProgram): void {
  const { language, skip } = program;
  const start = async (t: TestContext, name: string, delayMs: number) => {
    const pool = `${language.toLowerCase()}-${name}`;
    const [command, ...args] = await program.command(t, pool, delayMs);
    const worker = startProcess(t, command, args);
    await worker.line(/^ready: worker w1 of pool/);
    await mesh.untilCapacity(pool, 2, 0);
    return { pool, worker, caller: new JobCaller(await connectBus(t, mesh.broker), pool) };
  };

  test(`a worker in ${language} runs jobs, reports failures, and leaves at SIGTERM`, { skip }, async (t) => {
    const { pool, worker } = await start(t, "runs", 0);
    const submit = (value: unknown) =>
      mesh.client.submit({ pool, input: { case: "payload", value: json.encode(value) } });
    const results = await Promise.all(Array.from({ length: 200 }, (_, i) => submit(i)));
    const numbers = results.map(({ output }) => Number(json.decode(output.value as Uint8Array)));
    assert.deepEqual(
      numbers,
      Array.from({ length: 200 }, (_, i) => i + 1),
    );
    assert.ok(results.every((each) => each.worker === "w1"));
    await assert.rejects(submit("x"), /job_failed: the payload is not a number/);
    await leaves(mesh, pool, worker, () => worker.signal("SIGTERM"));
  });

  test(`a worker in ${language} reads payloads over the broker's limit; one that is gone does not run`, {
    skip,
  }, async (t) => {
    const { pool, worker } = await start(t, "large", 0);
    const client = await Client.connect({ pool, servers: mesh.natsUrl, largePayloads: true });
    cleanUp(t, () => client.close());
    assert.equal((await client.submit({ number: 41, more: "x".repeat(3_000_000) })).json(), 42);
    const bare = await Client.connect({ pool, servers: mesh.natsUrl });
    cleanUp(t, () => bare.close());
    const codeOf = async (name: string): Promise<unknown> => {
      const reference = { bucket: "pool-submitted", name, size: 1, digest: `SHA-256=${"A".repeat(43)}=` };
      const error = await failure(bare.submit(encodeReference(reference), { id: "mine" }));
      return [error.reason, error.jobCode];
    };
    assert.deepEqual(await codeOf(`${pool}.mine.gone`), ["job_rejected", "payload.missing"]);
    assert.deepEqual(await codeOf(`${pool}.other.x`), ["job_rejected", "payload.foreign"]);
    assert.equal(worker.ended, false);
  });

  test(`a worker in ${language} is not taken for lost during a long job`, { skip }, async (t) => {
    const { pool } = await start(t, "long", 5_000);
    const { worker, attempt } = await mesh.client.submit({ pool, input: { case: "text", value: "1" } });
    assert.deepEqual([worker, attempt], ["w1", 1]);
  });

  test(`a worker in ${language} refuses what it has no slot for, at once`, { skip }, async (t) => {
    const { caller } = await start(t, "full", 60_000);
    const taken = ["j1", "j2"].map((jobId) => caller.send("1", { jobId }));
    for (const job of taken) await job.first("accepted");
    assert.equal((await caller.send("1", { jobId: "j3" }).first("busy")).free, 0);
    assert.equal((await caller.send("1", { jobId: "j4", to: "w1" }).first("busy")).free, 0);
    assert.equal((await caller.sendPlain("1").outcome()).error?.reason, "pool_full");
    const canceled = taken[0];
    await caller.cancel("j1").outcome();
    assert.equal((await canceled?.outcome())?.error?.reason, "canceled");
    const late = caller.send("41", { jobId: "j5", timeoutMs: 100 });
    assert.equal((await late.outcome()).error?.reason, "deadline_exceeded");
  });

  test(`a worker in ${language} keeps a later attempt when an earlier one is revoked`, { skip }, async (t) => {
    const { caller } = await start(t, "revoked", 300);
    const job = caller.send("41", { jobId: "j1", attempt: 2 });
    await job.first("accepted");
    caller.cancel("j1", 1);
    assert.equal((await job.outcome()).text, "42");
  });

  test(`a worker in ${language} drains when a manager asks`, { skip }, async (t) => {
    const { pool, worker } = await start(t, "drain", 3_000);
    const running = mesh.client.submit({ pool, input: { case: "text", value: "41" } });
    await mesh.untilCapacity(pool, 2, 1);
    const subject = `pool.${pool}.control.w1`;
    await leaves(mesh, pool, worker, async () => {
      const bus = await connectBus(t, mesh.broker);
      await bus.nc.request(subject, "drain", { timeout: 5_000 });
    });
    assert.equal((await running).output.value, "42");
  });
}

/** Checks that the worker ends with 0, that it has nothing to say about it, and that the pool has none left. */
async function leaves(mesh: Mesh, pool: string, worker: TestProcess, ask: () => unknown): Promise<void> {
  await ask();
  const { code, stderr } = await worker.exit();
  assert.deepEqual([code, stderr], [0, ""]);
  await eventually(async () => (await mesh.client.listWorkers({ pool })).workers.length === 0, {
    what: "no worker left",
  });
}
