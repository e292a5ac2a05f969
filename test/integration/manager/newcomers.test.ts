/** The first submission of a caller that a manager has never heard: how old it is, is asked. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { headers, type Msg } from "nats";
import { HEADER } from "../../../mesh/wire/headers.js";
import { ManagerService } from "../../../services/manager/service.js";
import { Worker } from "../../../services/worker/worker.js";
import { connectBus, type Owner, startBroker } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { eventually } from "../../support/wait.js";

leakGuard();

const CLOCK_MS = 1_000_000;

/** A pool that counts its runs, and a caller that speaks as docs/protocol.md says. */
async function startMesh(t: Owner) {
  const broker = await startBroker(t, { jetStream: false });
  const service = new ManagerService({
    bus: { servers: broker.url },
    id: "m1",
    listen: { host: "127.0.0.1", port: 0 },
    graceMs: 100,
  });
  cleanUp(t, () => service.stop());
  await service.start();
  let runs = 0;
  const run = (): number => {
    runs += 1;
    return runs;
  };
  const worker = new Worker({ pool: "p", run, graceMs: 100, servers: broker.url });
  cleanUp(t, () => worker.stop());
  await worker.start();
  const bus = await connectBus(t, broker);
  const inbox = "_INBOX.caller.1.";
  const heard: Msg[] = [];
  bus.subscribe(`${inbox}*`, (msg) => heard.push(msg));
  const say = (subject: string, said: Readonly<Record<string, string>>): void => {
    const all = headers();
    for (const [name, value] of Object.entries(said)) all.append(name, value);
    bus.publish(subject, Buffer.from("1"), { headers: all, reply: `${inbox}a` });
  };
  const job = {
    [HEADER.jobId]: "a",
    [HEADER.clock]: String(CLOCK_MS),
    [HEADER.timeoutMs]: "5000",
    [HEADER.offer]: "1",
  };
  const kinds = (): string[] => heard.map((msg) => msg.headers?.get(HEADER.reply) ?? "");
  return { say, job, heard, kinds, runs: () => runs };
}

test("newcomers - a first submission that was on its way for longer than its timeout is never started", async (t) => {
  const { say, job, heard, kinds, runs } = await startMesh(t);
  say("pool.p.submit", { ...job, [HEADER.answers]: "clock" });
  const question = await eventually(() => heard[0]);
  assert.deepEqual([kinds()[0], question.headers?.get(HEADER.manager)], ["clock", "m1"]);
  say("pool.p.submit.m1", { ...job, [HEADER.clock]: String(CLOCK_MS + 10_000) });
  const answer = await eventually(() => heard[1]);
  assert.equal(answer.headers?.get(HEADER.error), "deadline_exceeded");
  assert.equal(runs(), 0);
});

test("newcomers - a first submission is taken when its caller has answered, and its caller hears of it once", async (t) => {
  const { say, job, heard, kinds, runs } = await startMesh(t);
  say("pool.p.submit", { ...job, [HEADER.answers]: "clock" });
  await eventually(() => heard[0]);
  say("pool.p.submit.m1", { ...job, [HEADER.clock]: String(CLOCK_MS + 3) });
  await eventually(() => kinds().includes("result"));
  assert.deepEqual(
    kinds().filter((kind) => kind === "clock" || kind === "result"),
    ["clock", "result"],
  );
  say("pool.p.submit", { ...job, [HEADER.jobId]: "b", [HEADER.answers]: "clock" });
  await eventually(() => kinds().filter((kind) => kind === "result").length === 2);
  assert.equal(kinds().filter((kind) => kind === "clock").length, 1, "a caller is asked once");
  assert.equal(runs(), 2);
});

test("newcomers - a caller that does not say that it answers is not asked", async (t) => {
  const { say, job, kinds } = await startMesh(t);
  say("pool.p.submit", job);
  await eventually(() => kinds().includes("result"));
  assert.ok(!kinds().includes("clock"), kinds().join(" "));
});
