/** What callers hear when the broker cannot store: its disk takes nothing more, or most of its cluster is gone. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { promisify } from "node:util";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "nats";
import type { Broker } from "../../../../broker/broker.js";
import { Client } from "../../../../client/client.js";
import { Worker } from "../../../../services/worker/worker.js";
import { standStill, startBroker, startThree } from "../../../support/broker.js";
import { cleanUp, type Owner } from "../../../support/clean-up.js";
import { startDurableManager } from "../../../support/durable-mesh.js";
import { failure } from "../../../support/failure.js";
import { leakGuard } from "../../../support/leak-guard.js";
import { eventually } from "../../../support/wait.js";

leakGuard();
const PRLIMIT = "/usr/bin/prlimit";
const ENQUEUE_TIMEOUT_MS = 3_000;

/** A manager with the lane, a worker that adds one, and a client, all at one broker. */
async function startAt(t: Owner, pool: string, broker: Broker): Promise<Client> {
  const bus = { servers: broker.url };
  await startDurableManager(t, broker.url, { pools: [pool] });
  const worker = new Worker({ pool, run: ({ payload }) => Number(payload) + 1, slots: 4, graceMs: 100, ...bus });
  cleanUp(t, () => worker.stop());
  await worker.start();
  const client = await Client.connect({ pool, ...bus });
  cleanUp(t, () => client.close());
  return client;
}

/** A manager that starts before all brokers know each other makes its streams with one copy. */
async function hasThreeCopies(t: Owner, broker: Broker, stream: string): Promise<void> {
  const nc = await connect({ servers: broker.url });
  cleanUp(t, () => nc.close());
  const { streams } = await jetstreamManager(nc);
  await eventually(
    async () => {
      const { config, cluster } = await streams.info(stream);
      if (config.num_replicas !== 3) await streams.update(stream, { num_replicas: 3 });
      return (
        config.num_replicas === 3 && cluster?.replicas?.length === 2 && cluster.replicas.every(({ current }) => current)
      );
    },
    { limitMs: 30_000, what: "three copies of the stream" },
  );
}

async function resultOf(client: Client, input: string, id: string): Promise<unknown> {
  const receipt = await client.enqueue(input, { id, enqueueTimeoutMs: ENQUEUE_TIMEOUT_MS });
  return (await receipt.result({ timeoutMs: 30_000 })).json();
}

/** No file of the process may grow from now on: its writes fail as on a full disk. */
async function fillDisk(pid: number): Promise<void> {
  await promisify(execFile)(PRLIMIT, ["--pid", String(pid), "--fsize=0:"]);
}

test("durable - when the broker's disk takes nothing more an enqueue is refused with why, jobs of submit go on, and a restart with space heals it", {
  skip: existsSync(PRLIMIT) ? false : "prlimit not found on this machine",
}, async (t) => {
  const broker = await startBroker(t);
  const client = await startAt(t, "full", broker);
  assert.equal(await resultOf(client, "1", "before"), 2);
  await fillDisk(broker.pid);
  const refused = await failure(client.enqueue("2", { id: "during", enqueueTimeoutMs: ENQUEUE_TIMEOUT_MS }));
  assert.equal(refused.reason, "bus_unavailable", refused.message);
  assert.equal((await client.submit("3")).json(), 4, "what is not stored goes on");
  // nats-server 2.15 writes nothing more to a stream of which a write has failed; 2.9 would go on when there is space.
  await broker.crash("SIGTERM");
  await broker.revive();
  await eventually(async () => (await resultOf(client, "2", "during")) === 3, { limitMs: 60_000 });
  assert.equal((await client.outcome("before"))?.ok, true, "what was stored is there");
});

test("durable - where two of three brokers stand still an enqueue ends in its time, jobs of submit go on, and nothing stored is lost", async (t) => {
  const brokers = await startThree(t);
  const [first, second, third] = brokers as [Broker, Broker, Broker];
  const client = await startAt(t, "minority", third);
  assert.equal(await resultOf(client, "1", "before"), 2);
  await hasThreeCopies(t, third, "pool-jobs-minority");
  const frozen = [first, second];
  await Promise.all(frozen.map(standStill));
  const goOn = (): void => {
    for (const broker of frozen) broker.signal("SIGCONT");
  };
  cleanUp(t, goOn);
  const refused = await failure(client.enqueue("2", { id: "during", enqueueTimeoutMs: ENQUEUE_TIMEOUT_MS }));
  assert.equal(refused.reason, "bus_unavailable", refused.message);
  assert.equal((await client.submit("3")).json(), 4, "what is not stored goes on");
  goOn();
  await eventually(async () => (await resultOf(client, "2", "during")) === 3, { limitMs: 60_000 });
  // The outcomes' stream may elect its leader anew once more.
  await eventually(async () => (await client.outcome("before"))?.ok === true, { what: "what was stored is there" });
});
