/** Strangers that answer in the place of workers and managers, in every form that an answer has: they decide nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { headers as newHeaders } from "nats";
import { Client } from "../../../client/client.js";
import type { Submitter } from "../../../mesh/job/job.js";
import { Manager } from "../../../services/manager/manager.js";
import { connectBus } from "../../support/broker.js";
import { cleanUp, type Owner } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const mesh = await startMesh();
const POOL = "faced";
const FORGED = Buffer.from('"forged"');
type Said = Readonly<Record<string, string>>;

/** What a stranger says, without a worker's name and in the name of one that is not there. */
const KINDS: readonly Said[] = [
  ...["result", "accepted", "progress", "busy", "error", "done"].map((kind) => ({ "Pool-Reply": kind })),
  ...["canceled", "draining", "job_failed", "bogus"].map((reason) => ({ "Pool-Reply": "error", "Pool-Error": reason })),
  { "Pool-Reply": "busy", "Pool-Free": "99" },
  {},
];
const WORKERS_WORDS: readonly Said[] = KINDS.flatMap((said) => [
  said,
  { ...said, "Pool-Worker": "nobody" },
  { ...said, "Pool-Worker": "no body.*" },
]);
/** The same to a submission: managers name themselves. */
const MANAGERS_WORDS: readonly Said[] = [...WORKERS_WORDS, { "Pool-Reply": "busy", "Pool-Manager": "nobody" }];

/** How often each payload ran. */
const runs = new Map<number, number>();
/** How many answers of the stranger have left before a job ends. */
let answers = 0;
const isAnswered = (): boolean => answers > 0;
for (const id of ["w1", "w2"]) {
  await mesh.addWorker<number, number>({
    ...{ pool: POOL, id, slots: 4 },
    run: async ({ payload }) => {
      runs.set(payload, (runs.get(payload) ?? 0) + 1);
      await eventually(isAnswered);
      return payload + 1;
    },
  });
}
await mesh.untilCapacity(POOL, 8);

/** Answers all that comes at these subjects before anybody else can. */
async function startStranger(t: Owner, subjects: readonly string[], said: () => Said): Promise<void> {
  const bus = await connectBus(t, mesh.broker);
  for (const subject of subjects) {
    const subscription = bus.subscribe(subject, (msg) => {
      const headers = newHeaders();
      for (const [name, value] of Object.entries(said())) headers.set(name, value);
      for (const name of ["Pool-Job-Id", "Pool-Attempt"]) {
        const value = msg.headers?.get(name);
        if (value) headers.set(name, value);
      }
      if (msg.reply) bus.nc.publish(msg.reply, FORGED, { headers });
      void bus.flush().then(() => {
        answers += 1;
      });
    });
    cleanUp(t, () => subscription.unsubscribe());
  }
  await bus.flush();
}

let next = 0;
async function haveOwnResults(submitter: Submitter, count: number, what: string): Promise<void> {
  const numbers = Array.from({ length: count }, () => (next += 1));
  const heard = await Promise.all(
    numbers.map(async (n) => {
      const result = await submitter.submit(String(n), { timeoutMs: 60_000 });
      return result.text();
    }),
  );
  assert.deepEqual(
    heard,
    numbers.map((n) => String(n + 1)),
    what,
  );
  for (const n of numbers) assert.equal(runs.get(n), 1, `${what}: a job that may run once`);
}

test("whatever a stranger says to offers where workers send heartbeats, each job has its own result and runs once", async (t) => {
  const client = await Client.connect({ pool: POOL, servers: mesh.natsUrl });
  cleanUp(t, () => client.close());
  const embedded = await Manager.connect({ pool: POOL, servers: mesh.natsUrl });
  cleanUp(t, () => embedded.close());
  await eventually(() => embedded.capacity.workers === 2);
  let said: Said = {};
  await startStranger(t, [`pool.${POOL}.job`, `pool.${POOL}.job.*`], () => said);
  for (said of WORKERS_WORDS) {
    answers = 0;
    for (const submitter of [client, embedded]) {
      await haveOwnResults(submitter, 1, JSON.stringify(said));
      await haveOwnResults(submitter, 4, JSON.stringify(said));
    }
  }
});

test("whatever a stranger says to submissions without a manager's name, each job has its own result and runs once", async (t) => {
  let said: Said = {};
  await startStranger(t, [`pool.${POOL}.submit`, `pool.${POOL}.submissions`, `pool.${POOL}.submit.*`], () => said);
  for (said of MANAGERS_WORDS) {
    answers = 0;
    const client = await Client.connect({ pool: POOL, servers: mesh.natsUrl });
    await haveOwnResults(client, 1, JSON.stringify(said));
    await haveOwnResults(client, 4, JSON.stringify(said));
    await client.close();
  }
});
