/** Twenty thousand jobs while workers are drained, added and removed: every id one outcome, right to the byte. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { bytes } from "../../../mesh/job/codec.js";
import { Manager } from "../../../services/manager/manager.js";
import { Worker } from "../../../services/worker/worker.js";
import { startBroker } from "../../support/broker.js";
import { eventually } from "../../support/wait.js";

const JOBS = 20_000;

const digest = (payload: Uint8Array): Buffer => createHash("sha256").update(payload).digest();
const payloadOf = (index: number): Uint8Array => Buffer.from(`${index}:${"x".repeat(index % 97)}`);

test("churn - 20,000 jobs through workers that come and go each have one outcome, right to the byte", async (t) => {
  const broker = await startBroker(t);
  const manager = await Manager.connect({ pool: "churn", servers: broker.url });
  t.after(() => manager.close());
  let executions = 0;
  const addWorker = async (): Promise<Worker> => {
    const run = (job: { bytes: Uint8Array }): Uint8Array => {
      executions += 1;
      return digest(job.bytes);
    };
    const worker = new Worker({ pool: "churn", slots: 16, run, codec: bytes, servers: broker.url });
    t.after(() => worker.stop());
    await worker.start();
    return worker;
  };
  const workers = [await addWorker(), await addWorker()];
  await eventually(() => manager.capacity.workers === 2);

  let done = 0;
  let finished = false;
  const churn = (async () => {
    for (let round = 1; !finished; round += 1) {
      await eventually(() => finished || done >= round * 1_500, { limitMs: 60_000, what: "progress" });
      if (finished) return;
      workers.push(await addWorker());
      const oldest = workers.shift() as Worker;
      if (round % 2 === 0) await oldest.drain();
      else await oldest.stop();
    }
  })();

  const seen = new Set<string>();
  const inputs = Array.from({ length: JOBS }, (_, i) => payloadOf(i));
  for await (const outcome of manager.submitMany(inputs, { window: 200, timeoutMs: 60_000 })) {
    assert.ok(outcome.ok, outcome.ok ? "" : outcome.error.message);
    assert.ok(!seen.has(outcome.id), "one outcome per id");
    seen.add(outcome.id);
    assert.deepEqual(Buffer.from(outcome.result.payload), digest(outcome.input as Uint8Array));
    done += 1;
  }
  finished = true;
  await churn;
  assert.equal(seen.size, JOBS);
  assert.equal(executions, JOBS, "each ran once");
});
