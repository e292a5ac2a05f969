/** What a killed manager held goes to another one at once, and what was stored waits until somebody is there. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "../../../client/client.js";
import { ManagerService } from "../../../services/manager/service.js";
import { Worker } from "../../../services/worker/worker.js";
import { startBroker } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { TcpProxy } from "../../support/proxy/tcp-proxy.js";
import { eventually, gate } from "../../support/wait.js";

leakGuard();
const POOL = "takeover";
const JOBS = 400;
const SLOTS = 200;

test("durable - what a dead manager held is at another one in seconds, long before the ack wait of 30 s, each job has one outcome, and at most 5 % run twice", async (t) => {
  const broker = await startBroker(t);
  const link = new TcpProxy(broker.url);
  cleanUp(t, () => link.stop());
  await link.start();
  const listen = { host: "127.0.0.1", port: 0 };
  const doomed = new ManagerService({
    id: "a-doomed",
    bus: { servers: link.url },
    listen,
    durable: true,
    pools: [POOL],
    graceMs: 0,
  });
  cleanUp(t, () => doomed.stop());
  await doomed.start();
  const held = gate();
  const runs = new Map<unknown, number>();
  const worker = new Worker({
    pool: POOL,
    slots: SLOTS,
    graceMs: 0,
    servers: broker.url,
    run: async ({ payload }) => {
      runs.set(payload, (runs.get(payload) ?? 0) + 1);
      await held.promise;
      return payload;
    },
  });
  cleanUp(t, () => worker.stop());
  await worker.start();
  const client = await Client.connect({ pool: POOL, servers: broker.url });
  cleanUp(t, () => client.close());
  const ids: string[] = [];
  for await (const one of client.enqueueMany(
    Array.from({ length: JOBS }, (_, i) => String(i)),
    { window: 200 },
  )) {
    assert.ok(one.ok);
    ids.push(one.receipt.id);
  }
  const lane = (service: ManagerService) => service.pools?.durable?.of(service.pools?.get(POOL));
  await eventually(() => (lane(doomed)?.held ?? 0) > 1.7 * SLOTS && worker.busy === SLOTS, { what: "all held" });
  const survivor = new ManagerService({
    id: "survivor",
    bus: { servers: broker.url },
    listen,
    durable: true,
    pools: [POOL],
    graceMs: 0,
  });
  cleanUp(t, () => survivor.stop());
  await survivor.start();
  const ended = new Map<string, number>();
  const heard = await Client.connect({ pool: POOL, servers: broker.url });
  cleanUp(t, () => heard.close());
  await eventually(() => survivor.pools?.durable?.knowsHeld(POOL, "a-doomed") === lane(doomed)?.held, {
    what: "the held list",
  });

  const orphans = lane(doomed)?.held ?? 0;
  // The broker goes first: a manager that still has it waits until its open pulls are over.
  cleanUp(t, () => broker.stop());
  const begunAtMs = performance.now();
  await link.stop();
  await eventually(() => (lane(survivor)?.held ?? 0) >= 0.8 * orphans, { what: "the jobs at the survivor" });
  const tookMs = performance.now() - begunAtMs;
  assert.ok(tookMs < 10_000, `${tookMs} ms`);
  held.open();
  for (const id of ids) {
    const outcome = await heard.outcome(id, { waitMs: 20_000 });
    ended.set(id, outcome?.ok ? 1 : 0);
  }
  assert.equal([...ended.values()].filter((ok) => ok === 1).length, JOBS);
  const second = [...runs.values()].filter((count) => count > 1).length;
  assert.ok(second <= 0.05 * JOBS, `${second} ran twice`);
  t.diagnostic(`the jobs were at the survivor after ${Math.round(tookMs)} ms; ${second} of ${JOBS} ran twice`);
});

test("durable - a job that is stored while everything is down runs when all are back", async (t) => {
  const own = await startBroker(t);
  const bus = { servers: own.url };
  const listen = { host: "127.0.0.1", port: 0 };
  const first = new ManagerService({ bus, listen, graceMs: 100, durable: true, pools: ["d-down"] });
  cleanUp(t, () => first.stop());
  await first.start();
  await first.stop();
  const enqueuer = await Client.connect({ pool: "d-down", ...bus });
  cleanUp(t, () => enqueuer.close());
  const receipt = await enqueuer.enqueue("41");
  await enqueuer.close();
  await own.crash();
  await own.revive();
  const second = new ManagerService({ bus, listen, graceMs: 100, durable: true });
  cleanUp(t, () => second.stop());
  await second.start();
  const worker = new Worker({ pool: "d-down", run: (job) => Number(job.payload) + 1, graceMs: 100, ...bus });
  cleanUp(t, () => worker.stop());
  await worker.start();
  const reader = await Client.connect({ pool: "d-down", ...bus });
  cleanUp(t, () => reader.close());
  const outcome = await reader.outcome(receipt.id, { waitMs: 10_000 });
  assert.ok(outcome?.ok && outcome.result.json() === 42);
});
