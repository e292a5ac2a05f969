/** Jobs that follow durable jobs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, headers as natsHeaders } from "nats";
import { Client } from "../../../../client/client.js";
import { durableDefaults } from "../../../../mesh/durable/job.js";
import { DurableNames, LEVELS } from "../../../../mesh/durable/names.js";
import { decodeDeath, decodeOutcome } from "../../../../mesh/durable/outcome.js";
import { StreamPublisher } from "../../../../mesh/durable/publisher.js";
import { LaneStore } from "../../../../mesh/durable/store.js";
import { jobsStream, levelConsumer } from "../../../../mesh/durable/streams.js";
import { PermanentError } from "../../../../mesh/errors.js";
import { silentLog } from "../../../../mesh/process/log.js";
import { HEADER } from "../../../../mesh/wire/headers.js";
import { NextJobs } from "../../../../services/manager/durable/after/next-jobs.js";
import { ManagerService } from "../../../../services/manager/service.js";
import { type Handler, Worker } from "../../../../services/worker/worker.js";
import { connectBus, type Owner, startBroker } from "../../../support/broker.js";
import { cleanUp } from "../../../support/clean-up.js";
import { runInShell, type ShellExit } from "../../../support/docs/fake-shell.js";
import { startDurableMesh } from "../../../support/durable-mesh.js";
import { failure } from "../../../support/failure.js";
import { leakGuard } from "../../../support/leak-guard.js";
import { TcpProxy } from "../../../support/proxy/tcp-proxy.js";
import { eventually } from "../../../support/wait.js";

leakGuard();
const mesh = await startDurableMesh();
const { servers } = mesh;

const increment: Handler<unknown, unknown> = (job) => Number(job.payload) + 1;

const startPool = async (t: Owner, pool: string, run: Handler<unknown, unknown>): Promise<Client> =>
  (await mesh.startPool(t, pool, run, { slots: 4, graceMs: 100 }))[0];

/** The streams of pools with an ack wait of 3 s, so that what a dead manager had comes again soon. */
async function provisionShort(t: Owner, broker: { readonly url: string }, pools: readonly string[]): Promise<void> {
  const store = new LaneStore(await connectBus(t, broker));
  const names = new DurableNames();
  for (const pool of pools) {
    await store.addStream(jobsStream(names, pool, 1));
    for (const level of LEVELS) {
      await store.addConsumer(names.jobsStream(pool), { ...levelConsumer(names, pool, level), ack_wait: 3e9 });
    }
  }
}

function poolmesh(...argv: string[]): Promise<ShellExit> {
  return runInShell(argv, { NATS_URL: servers });
}

test("then - the result of a job is the payload of the next one, and the receipt tells both results", async (t) => {
  const client = await startPool(t, "t-first", increment);
  await startPool(t, "t-second", (job) => Number(job.payload) * 10);
  const receipt = await client.enqueue("41", { id: "j1", then: { pool: "t-second" } });
  const first = await receipt.result({ timeoutMs: 10_000 });
  assert.equal(first.json(), 42);
  assert.equal(first.next?.pool, "t-second");
  assert.match(first.next.id, /^j1-[0-9a-f]{16}$/);
  const last = await receipt.last({ timeoutMs: 10_000 });
  assert.deepEqual([last.json(), last.id, last.next], [420, first.next.id, undefined]);
});

test("then - a chain of sixteen jobs runs in its order, nested or as a list, and a seventeenth is refused", async (t) => {
  const client = await startPool(t, "t-chain", increment);
  const steps = Array.from({ length: 16 }, () => ({ pool: "t-chain" }));
  const listed = await client.enqueue("0", { then: steps });
  const nested = await client.enqueue("0", {
    then: { pool: "t-chain", id: "n1", then: { pool: "t-chain", id: "n2" } },
  });
  assert.equal((await listed.last({ timeoutMs: 20_000 })).json(), 17);
  const last = await nested.last({ timeoutMs: 20_000 });
  assert.deepEqual([last.json(), last.id], [3, "n2"]);
  const error = await failure(client.enqueue("0", { then: [...steps, { pool: "t-chain" }] }));
  assert.deepEqual([error.reason, error.field], ["invalid_argument", "then"]);
  assert.equal((await failure(client.enqueue("0", { then: { pool: "a.b" } }))).field, "then");
});

test("then - a job that is given up has no next one, and one that is retried with success has", async (t) => {
  let works = false;
  const run: Handler<unknown, unknown> = () => {
    if (works) return "at last";
    throw new PermanentError("no");
  };
  const [client, lane] = await mesh.startPool(t, "t-dead", run, { slots: 4, graceMs: 100 });
  const next = await startPool(t, "t-after-dead", (job) => job.payload);
  const receipt = await client.enqueue("1", { id: "d1", then: { pool: "t-after-dead", id: "after-d1" } });
  assert.equal((await failure(receipt.last({ timeoutMs: 10_000 }))).reason, "job_rejected");
  assert.equal((await failure(next.lookup("after-d1"))).reason, "not_found");
  works = true;
  await lane.dead.retry("d1");
  const outcome = await eventually(() => next.outcome("after-d1", { waitMs: 1_000 }).catch(() => undefined));
  assert.ok(outcome.ok && outcome.result.json() === "at last");
  assert.equal((await lane.figures()).dead, 0);
});

test("then - a job that is canceled has no next one", async (t) => {
  const run: Handler<unknown, unknown> = ({ signal }) =>
    new Promise((resolve) => signal.addEventListener("abort", () => resolve(1), { once: true }));
  const client = await startPool(t, "t-cancel", run);
  const receipt = await client.enqueue("1", { id: "c1", then: { pool: "t-cancel", id: "c2" } });
  const shown = await eventually(async () => {
    const job = await client.lookup("c1");
    return job.state === "running" ? job : undefined;
  });
  assert.deepEqual(shown.then, [{ pool: "t-cancel", id: "c2" }]);
  await client.cancel("c1");
  assert.equal((await failure(receipt.last({ timeoutMs: 10_000 }))).reason, "canceled");
  assert.equal((await failure(client.lookup("c2"))).reason, "not_found");
});

test("then - a job whose outcome is not to be kept keeps it when another follows", async (t) => {
  const client = await startPool(t, "t-keep", increment);
  const receipt = await client.enqueue("1", { id: "k1", keepOutcome: false, then: { pool: "t-keep", id: "k2" } });
  assert.equal((await receipt.last({ timeoutMs: 10_000 })).json(), 3);
  const outcome = await client.outcome("k1");
  assert.ok(outcome?.ok && outcome.result.next?.id === "k2");
});

test("then - the same job enqueued again has the same next job, and a rerun has another", async (t) => {
  const runs: string[] = [];
  const client = await startPool(t, "t-again", increment);
  await startPool(t, "t-again-next", (job) => {
    runs.push(job.id);
    return job.payload;
  });
  const then = { pool: "t-again-next" };
  const first = await (await client.enqueue("1", { id: "a1", then })).last({ timeoutMs: 10_000 });
  const same = await (await client.enqueue("1", { id: "a1", then })).last({ timeoutMs: 10_000 });
  assert.deepEqual([same.id, runs.length], [first.id, 1]);
  const again = await (await client.enqueue("1", { id: "a1", then, rerun: true })).last({ timeoutMs: 10_000 });
  assert.notEqual(again.id, first.id);
  assert.deepEqual(runs, [first.id, again.id]);
});

test("then - the nats CLI says it by a header, and a wrong header makes a dead letter", async (t) => {
  const client = await startPool(t, "t-raw", increment);
  const nc = await connect({ servers });
  cleanUp(t, () => nc.close());
  const headers = natsHeaders();
  headers.set(HEADER.then, "t-raw:raw-2, t-raw:raw-3");
  await nc.request("pool.t-raw.durable.normal.raw-1", "1", { headers, timeout: 2_000 });
  const last = await eventually(() => client.outcome("raw-3", { waitMs: 1_000 }).catch(() => undefined));
  assert.ok(last.ok && last.result.json() === 4);
  headers.set(HEADER.then, "t-raw:a:b");
  await nc.request("pool.t-raw.durable.normal.raw-bad", "1", { headers, timeout: 2_000 });
  const bad = await client.outcome("raw-bad", { waitMs: 10_000 });
  assert.ok(bad !== undefined && !bad.ok);
  assert.deepEqual([bad.error.reason, bad.error.field], ["invalid_argument", HEADER.then]);
});

test("then - the command line enqueues chains, waits for the last job, and shows what follows", async (t) => {
  const client = await startPool(t, "t-cli", increment);
  const waited = await poolmesh("enqueue", "t-cli", "1", "--then", "t-cli", "--then", "t-cli:cli-3", "--wait");
  assert.deepEqual([waited.code, waited.stdout.trim()], [0, "4"], waited.stderr);
  await client.enqueue("1", { id: "cli-1", then: { pool: "t-cli", id: "cli-2" } });
  await eventually(() => client.outcome("cli-2").catch(() => undefined));
  const shown = await poolmesh("job", "t-cli", "cli-1");
  assert.match(shown.stdout, /^next {6}t-cli:cli-2$/m);
  const json = JSON.parse((await poolmesh("job", "t-cli", "cli-1", "--json")).stdout);
  assert.deepEqual(json.next, { pool: "t-cli", id: "cli-2" });
  const wrong = await poolmesh("enqueue", "t-cli", "1", "--then", "a:b:c");
  assert.match(wrong.stderr, /POOL or POOL:ID/);
});

test("then - a manager that serves only some pools refuses a job whose next one it may not enqueue, before it runs", async (t) => {
  const broker = await startBroker(t);
  const service = new ManagerService({
    bus: { servers: broker.url },
    listen: { host: "127.0.0.1", port: 0 },
    graceMs: 0,
    durable: true,
    pools: ["t-own"],
  });
  cleanUp(t, () => service.stop());
  await service.start();
  let runs = 0;
  const worker = new Worker({
    pool: "t-own",
    slots: 1,
    graceMs: 0,
    servers: broker.url,
    run: () => {
      runs += 1;
    },
  });
  cleanUp(t, () => worker.stop());
  await worker.start();
  const client = await Client.connect({ pool: "t-own", servers: broker.url });
  cleanUp(t, () => client.close());
  cleanUp(t, () => broker.stop());
  const receipt = await client.enqueue("1", { then: { pool: "t-foreign" } });
  const error = await failure(receipt.last({ timeoutMs: 10_000 }));
  assert.deepEqual([error.reason, runs], ["permission_denied", 0]);
});

test("then - a manager that dies between the next job and the acknowledgement leaves exactly one next job", async (t) => {
  const broker = await startBroker(t);
  const link = new TcpProxy(broker.url);
  cleanUp(t, () => link.stop());
  await link.start();
  await provisionShort(t, broker, ["t-kill", "t-kill-next"]);
  const common = { listen: { host: "127.0.0.1", port: 0 }, durable: true, graceMs: 0 };
  const doomed = new ManagerService({ id: "a-doomed", bus: { servers: link.url }, ...common });
  cleanUp(t, () => doomed.stop());
  await doomed.start();
  const runs: string[] = [];
  const startWorker = async (pool: string): Promise<void> => {
    const run: Handler<unknown, unknown> = (job) => {
      runs.push(`${pool}:${job.id}`);
      return runs.length;
    };
    const worker = new Worker({ pool, slots: 4, graceMs: 0, servers: broker.url, run });
    cleanUp(t, () => worker.stop());
    await worker.start();
  };
  await startWorker("t-kill");
  await startWorker("t-kill-next");
  const client = await Client.connect({ pool: "t-kill", servers: broker.url });
  cleanUp(t, () => client.close());
  const lane = (service: ManagerService, pool: string) => service.pools?.durable?.of(service.pools?.get(pool));
  await eventually(() => lane(doomed, "t-kill") && lane(doomed, "t-kill-next"));
  const nc = await connect({ servers: broker.url });
  cleanUp(t, () => nc.close());
  let published = 0;
  nc.subscribe("pool.t-kill-next.durable.>", {
    callback: () => {
      published += 1;
      if (published === 1) link.reset({ refuse: true });
    },
  });
  await nc.flush();
  // What the broker tells the manager is late: it cannot have acknowledged the first job when it dies.
  link.set("to-client", { delayMs: 300 });
  const receipt = await client.enqueue("1", { id: "k1", then: { pool: "t-kill-next" } });
  await eventually(() => published === 1, { what: "the next job at the broker" });
  const survivor = new ManagerService({ id: "survivor", bus: { servers: broker.url }, ...common });
  cleanUp(t, () => survivor.stop());
  await survivor.start();
  cleanUp(t, () => broker.stop());
  const last = await receipt.last({ timeoutMs: 20_000 });
  await eventually(() => lane(survivor, "t-kill")?.totals.delivered === 1, { what: "the first job again" });
  await eventually(() => lane(survivor, "t-kill")?.held === 0 && lane(survivor, "t-kill-next")?.held === 0);
  assert.deepEqual(runs, ["t-kill:k1", `t-kill-next:${last.id}`]);
  assert.equal(last.json(), 2);
  assert.ok(published >= 2, "the survivor enqueued it once more, and the stream has taken one");
});

test("then - a result that is kept as an object is not passed on: the next job is a dead letter that says so", async (t) => {
  const client = await startPool(t, "t-object", increment);
  const bus = await connectBus(t, { url: servers });
  const names = new DurableNames();
  const store = new LaneStore(bus);
  const publisher = new StreamPublisher(bus);
  cleanUp(t, () => publisher.stop());
  const jobs = new NextJobs({ pool: "t-from", manager: "m", bus, names, store, publisher, log: silentLog });
  const job = { ...durableDefaults(), then: [{ pool: "t-object", id: "o1" }] };
  const result = Buffer.from('poolmesh-object/1 {"bucket":"pool-results","name":"n"}');
  assert.equal(
    await jobs.follow({ id: "f2", level: "normal", job, sequence: 1, result, endedAt: Date.now() }),
    undefined,
  );
  const outcome = await client.outcome("o1");
  assert.ok(outcome !== undefined && !outcome.ok && outcome.error.reason === "payload_too_large");
});

test("then - a next pool without a lane is waited for, and after ten minutes the next job is a dead letter with an outcome", async (t) => {
  const bus = await connectBus(t, { url: servers });
  const names = new DurableNames();
  const store = new LaneStore(bus);
  const publisher = new StreamPublisher(bus);
  cleanUp(t, () => publisher.stop());
  const jobs = new NextJobs({ pool: "t-from", manager: "m", bus, names, store, publisher, log: silentLog });
  const job = { ...durableDefaults(), then: [{ pool: "t-nowhere", id: "n1" }] };
  const first = { id: "f1", level: "high" as const, job, sequence: 7, result: Buffer.from("42") };
  const now = Date.now();
  assert.equal(await jobs.follow({ ...first, endedAt: now }), 5_000);
  assert.equal(await store.last(names.deadStream, names.dead("t-nowhere", "n1")), undefined);
  assert.equal(await jobs.follow({ ...first, endedAt: now - 600_000 }), undefined);
  const dead = await store.last(names.deadStream, names.dead("t-nowhere", "n1"));
  assert.ok(dead?.headers !== undefined);
  const { error, priority } = decodeDeath(dead.headers);
  assert.deepEqual([Buffer.from(dead.payload).toString(), error.reason, priority], ["42", "unknown_pool", "high"]);
  const ended = await store.last(names.outcomesStream, names.outcome("t-nowhere", "n1"));
  const outcome = decodeOutcome("n1", ended?.headers, ended?.payload ?? Buffer.alloc(0))?.outcome;
  assert.ok(outcome !== undefined && !outcome.ok && outcome.error.reason === "unknown_pool");
});
