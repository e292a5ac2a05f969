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
import { eventually, gate } from "../../support/wait.js";

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
  let until: ReturnType<typeof gate<undefined>> | undefined;
  const run = async (): Promise<number> => {
    runs += 1;
    await until?.promise;
    return runs;
  };
  /** Handlers run until this is opened. */
  const hold = () => {
    until = gate<undefined>();
    return until;
  };
  const worker = new Worker({ pool: "p", run, graceMs: 100, servers: broker.url });
  cleanUp(t, () => worker.stop());
  await worker.start();
  const bus = await connectBus(t, broker);
  const inbox = "_INBOX.caller.1.";
  const heard: Msg[] = [];
  bus.subscribe(`${inbox}*`, (msg) => heard.push(msg));
  const say = (subject: string, said: Readonly<Record<string, string>>, token = "a"): void => {
    const all = headers();
    for (const [name, value] of Object.entries(said)) all.append(name, value);
    bus.publish(subject, Buffer.from("1"), { headers: all, reply: `${inbox}${token}` });
  };
  const job = {
    [HEADER.jobId]: "a",
    [HEADER.clock]: String(CLOCK_MS),
    [HEADER.timeoutMs]: "5000",
    [HEADER.offer]: "1",
  };
  const kinds = (): string[] => heard.map((msg) => msg.headers?.get(HEADER.reply) ?? "");
  /** The manager's clock, as its questions say it. */
  const askedAt = (): (string | undefined)[] =>
    heard.filter((msg) => msg.headers?.get(HEADER.reply) === "clock").map((msg) => msg.headers?.get(HEADER.clock));
  return { askedAt, say, job, heard, kinds, runs: () => runs, service, hold };
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

test("newcomers - a caller that should answer and is silent hears an error after a while, and its job is never started", async (t) => {
  const { say, job, heard, kinds, runs } = await startMesh(t);
  say("pool.p.submit", { ...job, [HEADER.answers]: "clock" });
  await eventually(() => kinds().includes("error"));
  assert.equal(heard.at(-1)?.headers?.get(HEADER.error), "bus_unavailable");
  assert.ok(kinds().filter((kind) => kind === "clock").length > 1, "it is asked more than once");
  say("pool.p.submit", { ...job, [HEADER.jobId]: "b", [HEADER.answers]: "clock" });
  await eventually(() => kinds().at(-1) === "clock");
  assert.equal(runs(), 0, "its first message was no measure: it is asked anew");
});

test("newcomers - a submission that its caller gave up before it came is not taken, however often it comes", async (t) => {
  const { say, job, heard, kinds, runs } = await startMesh(t);
  say("pool.p.submit", { ...job, [HEADER.jobId]: "measured" });
  await eventually(() => kinds().includes("result"));
  say("pool.p.cancel.a", { [HEADER.nonce]: "given-up" });
  const errors = (): string[] => heard.map((msg) => msg.headers?.get(HEADER.error) ?? "").filter((each) => each !== "");
  for (const count of [1, 2]) {
    say("pool.p.submit", { ...job, [HEADER.nonce]: "given-up" });
    await eventually(() => errors().length === count);
  }
  assert.deepEqual([errors(), runs()], [["canceled", "canceled"], 1]);
  say("pool.p.cancel.a", { [HEADER.nonce]: "moved", [HEADER.attempt]: "1000" });
  say("pool.p.submit", { ...job, [HEADER.nonce]: "moved", [HEADER.attempt]: "1001" });
  say("pool.p.submit", { ...job, [HEADER.jobId]: "c", [HEADER.nonce]: "other" });
  await eventually(() => kinds().filter((kind) => kind === "result").length === 3);
  assert.equal(runs(), 3, "a later attempt and another submission run");
});

test("newcomers - what its caller would hear of when it does not wait any more is not taken, and its next submission is, at once", async (t) => {
  const { say, job, heard, kinds, runs, askedAt } = await startMesh(t);
  const patient = { ...job, [HEADER.startWithinMs]: "1500", [HEADER.answers]: "clock" };
  say("pool.p.submit", patient);
  await eventually(() => askedAt().length > 0);
  // As if the question had been on its way for 1.1 s and more: the caller would hear of its job after the end of its patience.
  const answer = { ...patient, [HEADER.clock]: String(CLOCK_MS), [HEADER.reply]: "clock" };
  await eventually(() => askedAt().length > 1);
  say("pool.p.submit.m1", { ...answer, [HEADER.askedAt]: String(Number(askedAt()[0]) - 600) });
  await eventually(() => kinds().includes("error"));
  const error = heard.at(-1)?.headers;
  const said = [HEADER.error, HEADER.field, HEADER.maybeExecuted].map((name) => error?.get(name));
  assert.deepEqual(said, ["not_found", "job", ""], "it was not taken");
  // A manager that passes submissions on sends them again; its client submits the job anew, and hears of that one elsewhere.
  say("pool.p.submit", patient);
  await eventually(() => kinds().filter((kind) => kind === "error").length === 2);
  assert.deepEqual([heard.at(-1)?.headers?.get(HEADER.error), runs()], ["not_found", 0], "nor is a copy of it");
  say("pool.p.submit", { ...patient, [HEADER.jobId]: "b" }, "b");
  await eventually(() => kinds().includes("result"));
  assert.deepEqual([heard.at(-1)?.headers?.get(HEADER.jobId), runs(), askedAt().length], ["b", 1, 2]);
});

test("newcomers - an answer to a question of long ago measures nothing", async (t) => {
  const { say, job, kinds, runs, askedAt } = await startMesh(t);
  const patient = { ...job, [HEADER.startWithinMs]: "60000", [HEADER.answers]: "clock" };
  say("pool.p.submit", patient);
  await eventually(() => askedAt().length > 0);
  const answer = { ...patient, [HEADER.reply]: "clock" };
  say("pool.p.submit.m1", { ...answer, [HEADER.askedAt]: String(Number(askedAt()[0]) - 3_000) }, "nobody");
  await eventually(() => askedAt().length > 1, { what: "the next question" });
  assert.equal(runs(), 0);
  say("pool.p.submit.m1", { ...answer, [HEADER.askedAt]: String(askedAt()[1]) }, "nobody");
  await eventually(() => kinds().includes("result"));
  assert.equal(runs(), 1);
});

test("newcomers - two answers to questions for its clock make one caller of a job: it ends when that one cancels it", async (t) => {
  const { say, job, heard, kinds, runs, service, hold, askedAt } = await startMesh(t);
  const held = hold();
  const named = { ...job, [HEADER.nonce]: "n", [HEADER.answers]: "clock" };
  say("pool.p.submit", named);
  await eventually(() => kinds().filter((kind) => kind === "clock").length === 2);
  const answer = { ...named, [HEADER.clock]: String(CLOCK_MS + 500), [HEADER.reply]: "clock" };
  for (const asked of askedAt()) say("pool.p.submit.m1", { ...answer, [HEADER.askedAt]: String(asked) }, "nobody");
  await eventually(() => runs() === 1);
  say("pool.p.cancel.a", { [HEADER.nonce]: "n" });
  await eventually(() => heard.some((msg) => msg.headers?.get(HEADER.error) === "canceled"));
  await eventually(() => service.pools?.get("p").dispatcher.liveJobs === 0);
  held.open(undefined);
});
