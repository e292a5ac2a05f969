/** A client whose link to the broker is cut: what it may do again, and what it must not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { headers, type Msg } from "nats";
import { Client } from "../../../client/client.js";
import { PoolError } from "../../../mesh/errors.js";
import type { JobResult } from "../../../mesh/job/job.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { encodeClockQuestion } from "../../../mesh/wire/ages.js";
import { writeErrorHeaders } from "../../../mesh/wire/error-headers.js";
import { encodeReplyHeaders, HEADER } from "../../../mesh/wire/headers.js";
import { decodeBundle } from "../../../mesh/wire/payloads.js";
import { QUEUE_MANAGERS, QUEUE_WORKERS } from "../../../mesh/wire/subjects.js";
import { headersOf } from "../../../mesh/wire/wire-headers.js";
import { ManagerService } from "../../../services/manager/service.js";
import { connectBus, type Owner, startBroker } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { answerAs, playManager } from "../../support/core/played-manager.js";
import { failure } from "../../support/failure.js";
import { leakGuard } from "../../support/leak-guard.js";
import { TcpProxy } from "../../support/proxy/tcp-proxy.js";
import { eventually } from "../../support/wait.js";

leakGuard();

/** A client behind a link that can be cut. */
async function startClient(t: Owner) {
  const broker = await startBroker(t, { jetStream: false });
  const proxy = new TcpProxy(broker.url);
  cleanUp(t, () => proxy.stop());
  await proxy.start();
  const bus = await connectBus(t, { url: proxy.url });
  const client = await Client.connect({ pool: "p", connection: bus });
  cleanUp(t, () => client.close());
  return { broker, proxy, bus, client };
}

async function startManager(t: Owner, servers: string): Promise<ManagerService> {
  const listen = { host: "127.0.0.1", port: 0 };
  const service = new ManagerService({ bus: { servers }, listen, graceMs: 1_000 });
  cleanUp(t, () => service.stop());
  await service.start();
  return service;
}

test("client outages - a job that could not be sent is sent when the broker is back", async (t) => {
  const { broker, proxy, bus, client } = await startClient(t);
  const publish = bus.publish.bind(bus);
  const left: boolean[] = [];
  // Only the first try leaves: one more would be in doubt if the connection broke before it is answered.
  let isOut = false;
  t.mock.method(bus, "publish", (...message: Parameters<Bus["publish"]>) => {
    left.push(!isOut && publish(...message));
    if (left.length === 1) isOut = true;
    return left.at(-1);
  });
  const job = client.submit("1");
  await eventually(() => left.length > 0);
  // after this round trip it has heard that nobody serves the pool
  await bus.flush();
  proxy.reset({ refuse: true });
  await eventually(() => left.at(-1) === false, { what: "a second try, in the outage" });
  const manager = await connectBus(t, broker);
  const submissions = await playManager(manager, "p");
  await eventually(() => !bus.connected);
  isOut = false;
  proxy.heal();
  const submission = await eventually(() => submissions[0]);
  answerAs(manager, submission, "result");
  assert.equal((await job).json(), 7);
});

test("client outages - a job whose answer an outage may have swallowed is not given to another manager, however long it lasted", async (t) => {
  const { broker, proxy, bus, client } = await startClient(t);
  const manager = await connectBus(t, broker);
  const submissions = await playManager(manager, "p");
  const job = failure(client.submit("1", { timeoutMs: 60_000 }));
  await eventually(() => submissions.length === 1);
  proxy.reset({ refuse: true });
  await eventually(() => !bus.connected);
  // the outage lasts longer than a manager may be silent
  const now = performance.now.bind(performance);
  t.mock.method(performance, "now", () => now() + 10_000);
  proxy.heal();
  const { reason, maybeExecuted, retryable } = await job;
  assert.deepEqual(
    { reason, maybeExecuted, retryable },
    { reason: "bus_unavailable", maybeExecuted: true, retryable: false },
  );
  await Promise.all([bus.flush(), manager.flush()]);
  assert.equal(submissions.length, 1);
});

test("client outages - a result that came while the connection was away is heard, although no word of its manager was", async (t) => {
  const { broker, proxy, bus, client } = await startClient(t);
  const service = await startManager(t, broker.url);
  const worker = await connectBus(t, broker);
  const asked: Msg[] = [];
  worker.subscribe("pool.p.job", (msg) => asked.push(msg), QUEUE_WORKERS);
  await worker.flush();
  // Its manager knows the client's clock from then on.
  const first = client.submit("0", { waitForPool: true, timeoutMs: 60_000 });
  (await eventually(() => asked.shift())).respond("0");
  await first;
  proxy.set("to-client", { mode: "drop" });
  const job = client.submit("1", { timeoutMs: 60_000 });
  const offer = await eventually(() => asked[0]);
  proxy.reset({ refuse: true });
  await eventually(() => !bus.connected);
  offer.respond("7");
  await eventually(() => new Map(service.pools?.get("p").totals.outcomes()).get("ok")?.count === 2);
  proxy.heal();
  assert.equal((await job).json(), 7);
  assert.equal(asked.length, 1);
});

test("client outages - that nobody hears a client's answer to the question for its clock says nothing of the job", async (t) => {
  const { broker, client } = await startClient(t);
  const manager = await connectBus(t, broker);
  const submissions = await playManager(manager, "p");
  const answers: Msg[] = [];
  manager.subscribe("pool.p.submit.*", (msg) => answers.push(msg));
  const lookups: Msg[] = [];
  manager.subscribe("$SRV.PING.poolmesh-manager", (msg) => lookups.push(msg));
  const job = client.submit("1", { timeoutMs: 60_000 });
  const submission = await eventually(() => submissions[0]);
  const ask = (name: string): void =>
    void manager.publish(submission.reply ?? "", undefined, { headers: encodeClockQuestion(name, 5_000) });
  ask("m1");
  const [answer] = await eventually(() => (answers.length > 0 ? answers : undefined));
  assert.equal(answer?.subject, "pool.p.submit.m1");
  // As the broker says where nobody listens.
  manager.publish(answer?.reply ?? "", undefined, { headers: headers(503, "No Responders") });
  await eventually(() => lookups.length > 0, { what: "a look for managers that are awake, after a second and a half" });
  const said = [HEADER.reply, HEADER.askedAt].map((name) => answer?.headers?.get(name));
  assert.deepEqual(said, ["clock", "5000"]);
  answerAs(manager, submission, "accepted", "m2");
  ask("m1");
  answerAs(manager, submission, "result", "m2");
  assert.equal((await job).json(), 7);
  assert.deepEqual([submissions.length, answers.length], [1, 1], "a job that a manager has is answered for no more");
});

test("client outages - a job that its manager says it did not take is submitted again, as another attempt", async (t) => {
  const { broker, client } = await startClient(t);
  const manager = await connectBus(t, broker);
  const submissions = await playManager(manager, "p");
  const job = client.submit("1", { timeoutMs: 60_000 });
  const first = await eventually(() => submissions[0]);
  const word = encodeReplyHeaders({ kind: "error", jobId: first.headers?.get(HEADER.jobId), manager: "m1" });
  writeErrorHeaders(word, new PoolError("not_found", "not taken", { field: "job" }));
  manager.publish(first.reply ?? "", undefined, { headers: word });
  const second = await eventually(() => submissions[1]);
  assert.deepEqual([first.headers?.get(HEADER.attempt), second.headers?.get(HEADER.attempt)], ["", "1001"]);
  answerAs(manager, first, "accepted", "m1");
  answerAs(manager, second, "result", "m1");
  assert.equal((await job).json(), 7);
});

test("client outages - a result that was lost on its way from the manager is asked for, although no connection broke", async (t) => {
  const { broker, client } = await startClient(t);
  const manager = await connectBus(t, broker);
  manager.subscribe("$SRV.PING.poolmesh-manager.m1", (msg) => void msg.respond("{}"));
  const questions: Msg[] = [];
  manager.subscribe("pool.p.submit.m1", (msg) => questions.push(msg));
  const submissions = await playManager(manager, "p");
  const job = client.submit("1", { timeoutMs: 60_000 });
  answerAs(manager, await eventually(() => submissions[0]), "accepted", "m1");
  const question = await eventually(() => questions[0], { what: "a question for the job" });
  assert.equal(question.data.length, 0);
  answerAs(manager, question, "result", "m1");
  assert.equal((await job).json(), 7);
  assert.equal(submissions.length, 1);
});

test("client outages - what a suspended manager does not take goes to one that is awake, and not to another suspended one", async (t) => {
  const broker = await startBroker(t, { jetStream: false });
  const [suspended, worker] = [await connectBus(t, broker), await connectBus(t, broker)];
  const taken: string[] = [];
  // Five of six members of the managers' queue group hear submissions and say nothing.
  for (let i = 0; i < 5; i += 1) {
    suspended.subscribe("pool.p.submit", (msg) => taken.push(headersOf(msg)?.get(HEADER.jobId) ?? ""), QUEUE_MANAGERS);
    suspended.subscribe(
      "pool.p.submissions",
      (msg) => void decodeBundle(msg.data, ({ id }) => taken.push(id)),
      QUEUE_MANAGERS,
    );
  }
  await startManager(t, broker.url);
  worker.subscribe("pool.p.job", (msg) => void msg.respond("7"), QUEUE_WORKERS);
  await Promise.all([suspended.flush(), worker.flush()]);
  const client = await Client.connect({ pool: "p", servers: broker.url });
  cleanUp(t, () => client.close());
  const jobs: Promise<JobResult>[] = [];
  for (let turn = 0; turn < 6; turn += 1) {
    // Two in one turn leave in one message.
    for (let i = 0; i < 2; i += 1) jobs.push(client.submit("1", { idempotent: true, waitForPool: true }));
    await setImmediate();
  }
  const results = await Promise.all(jobs);
  assert.ok(results.every((result) => result.text() === "7"));
  assert.ok(taken.length > 0, "a suspended one was given a job");
  assert.equal(new Set(taken).size, taken.length, "no job was given to two of them");
});

test("client outages - while another manager is there nobody hears that one stops", async (t) => {
  const broker = await startBroker(t, { jetStream: false });
  const worker = await connectBus(t, broker);
  worker.subscribe("pool.p.job", (msg) => void msg.respond("7"), QUEUE_WORKERS);
  const [first] = [await startManager(t, broker.url), await startManager(t, broker.url)];
  const client = await Client.connect({ pool: "p", servers: broker.url });
  cleanUp(t, () => client.close());
  await client.submit("1", { waitForPool: true });
  let [done, stopped] = [0, false];
  const submitting = Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let after = 0; after < 20; after += stopped ? 1 : 0) {
        await client.submit("1");
        done += 1;
      }
    }),
  );
  await eventually(() => done > 20);
  await first.stop();
  stopped = true;
  await submitting;
});
