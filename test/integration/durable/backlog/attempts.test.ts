/** Which attempt a handler, a caller and an operator are told of, when a job was stored before its managers started. */
import assert from "node:assert/strict";
import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Client } from "../../../../client/client.js";
import { DurableLane } from "../../../../client/durable/operator.js";
import { DurableNames } from "../../../../mesh/durable/names.js";
import { LaneStore } from "../../../../mesh/durable/store.js";
import { silentLog } from "../../../../mesh/process/log.js";
import { provisionPool, provisionShared } from "../../../../services/manager/durable/provision.js";
import { ManagerService } from "../../../../services/manager/service.js";
import { Worker, type WorkerOptions } from "../../../../services/worker/worker.js";
import { connectBus, startBroker } from "../../../support/broker.js";
import { cleanUp } from "../../../support/clean-up.js";
import { failure } from "../../../support/failure.js";
import { leakGuard } from "../../../support/leak-guard.js";

leakGuard();
const POOL = "attempts";
const BACKOFF = { baseMs: 10, capMs: 20 };

/** Fails twice; says which attempt it was. */
type Told = Pick<WorkerOptions, "run" | "exec">;

function inline(file: string): Told {
  return {
    run: async ({ attempt, attemptNumber }) => {
      await appendFile(file, `${attempt} ${attemptNumber}\n`);
      if (attempt < 3) throw new Error("not yet");
      return attempt;
    },
  };
}

function command(file: string): Told {
  return { exec: `echo "$JOB_ATTEMPT $JOB_ATTEMPT_NUMBER" >> "${file}"; [ "$JOB_ATTEMPT" = 3 ] && echo 3` };
}

for (const [kind, told] of [
  ["a function", inline],
  ["a command", command],
] as const) {
  test(`attempts - ${kind} is told 1, 2, 3 for a job that waited for its managers, and so is who asks for it`, async (t) => {
    const broker = await startBroker(t);
    const bus = await connectBus(t, broker);
    const provisioning = { store: new LaneStore(bus), names: new DurableNames(), replicas: 1, log: silentLog };
    await provisionShared(provisioning);
    await provisionPool(provisioning, POOL);
    const client = await Client.connect({ pool: POOL, servers: broker.url });
    cleanUp(t, () => client.close());
    const receipt = await client.enqueue("1", { backoff: BACKOFF });
    const hopeless = await client.enqueue("2", { backoff: BACKOFF, maxAttempts: 2 });

    const folder = await mkdtemp(join(tmpdir(), "poolmesh-test-"));
    cleanUp(t, () => rm(folder, { recursive: true }));
    const file = join(folder, "attempts");
    const worker = new Worker({ pool: POOL, slots: 1, graceMs: 0, servers: broker.url, ...told(file) });
    cleanUp(t, () => worker.stop());
    await worker.start();
    const listen = { host: "127.0.0.1", port: 0 };
    const options = { bus: { servers: broker.url }, listen, durable: true, pools: [POOL], graceMs: 0 };
    const service = new ManagerService(options);
    cleanUp(t, () => service.stop());
    await service.start();
    const lane = await DurableLane.open({ pool: POOL, servers: broker.url });
    cleanUp(t, () => lane.close());

    const result = await receipt.result({ timeoutMs: 20_000 });
    assert.deepEqual([result.attempt, result.text().trim()], [3, "3"]);
    assert.equal((await client.lookup(receipt.id))?.attempt, 3);
    await failure(hopeless.result({ timeoutMs: 20_000 }));
    assert.equal((await lane.dead.get(hopeless.id))?.attempt, 2);

    const lines = (await readFile(file, "utf8")).trim().split("\n").sort();
    const seen = lines.map((line) => line.split(" ").map(Number) as [count: number, number: number]);
    assert.deepEqual(
      seen.map(([count]) => count),
      [1, 1, 2, 2, 3],
    );
    // What they are named by is no count: a job that was stored before its manager started may have begun.
    assert.ok(seen.every(([count, number]) => number > (count - 1) * 1_000 + (count === 1 ? 500 : 0)));
  });
}
