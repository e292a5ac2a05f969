/** Limits of stored jobs: what two managers start together is counted at the workers, and is never over a limit. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "nats";
import { Client } from "../../../client/client.js";
import { DurableLane } from "../../../client/durable/operator.js";
import { checkLimit, type Limit } from "../../../mesh/durable/limits/limit.js";
import { DurableNames } from "../../../mesh/durable/names.js";
import { LaneStore } from "../../../mesh/durable/store.js";
import { silentLog } from "../../../mesh/process/log.js";
import { provisionPool } from "../../../services/manager/durable/provision.js";
import { ManagerService } from "../../../services/manager/service.js";
import { Worker } from "../../../services/worker/worker.js";
import { connectBus, type Owner, startBroker, WHOLE_FILE } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { runInShell } from "../../support/docs/fake-shell.js";
import { CONTROL_TOKEN } from "../../support/doors/control-token.js";
import { failure } from "../../support/failure.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startCli, type TestProcess } from "../../support/process.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const names = new DurableNames();
const listen = { host: "127.0.0.1", port: 0 };

interface Job {
  readonly key: string;
  readonly index: number;
}

/** What the worker has seen. */
class Seen {
  readonly running = new Map<string, number>();
  readonly most = new Map<string, number>();
  readonly runs: Job[] = [];
  readonly startsMs: number[] = [];
  #open: () => void = () => {};
  /** While it is closed no job of these keys ends. */
  readonly gated = new Set<string>();
  #gate = new Promise<void>((resolve) => {
    this.#open = resolve;
  });

  open(): void {
    this.gated.clear();
    this.#open();
  }

  async run(job: Job): Promise<number> {
    const now = (this.running.get(job.key) ?? 0) + 1;
    this.startsMs.push(performance.now());
    this.running.set(job.key, now);
    this.most.set(job.key, Math.max(now, this.most.get(job.key) ?? 0));
    this.runs.push(job);
    // Long enough for others to start beside it, if they may.
    if (this.gated.has(job.key)) await this.#gate;
    else await new Promise((resolve) => setTimeout(resolve, 5));
    this.running.set(job.key, (this.running.get(job.key) ?? 0) - 1);
    return job.index;
  }

  count(key: string): number {
    return this.runs.filter((job) => job.key === key).length;
  }
}

async function startManager(broker: { readonly url: string }, id: string): Promise<ManagerService> {
  const bus = { servers: broker.url };
  const service = new ManagerService({ id, bus, listen, graceMs: 100, durable: true, controlToken: CONTROL_TOKEN });
  cleanUp(WHOLE_FILE, () => service.stop());
  await service.start();
  return service;
}

const broker = await startBroker(WHOLE_FILE);
const store = new LaneStore(await connectBus(WHOLE_FILE, broker));
const managers = [await startManager(broker, "one"), await startManager(broker, "two")];
// The broker goes first: a manager that still has it waits until its open pulls are over.
cleanUp(WHOLE_FILE, () => broker.stop());

async function startWorker(t: Owner, servers: string, pool: string, seen: Seen, slots = 64): Promise<void> {
  const run = ({ payload }: { readonly payload: unknown }) => seen.run(payload as Job);
  const worker = new Worker({ pool, id: `${pool}-worker`, run, servers, slots, graceMs: 0 });
  cleanUp(t, () => worker.stop());
  await worker.start();
}

async function startPool(t: Owner, pool: string) {
  const seen = new Seen();
  // nats-server 2.9.10 may end itself when two managers make streams at once.
  await provisionPool({ store, names, replicas: 1, log: silentLog }, pool);
  await startWorker(t, broker.url, pool, seen);
  const client = await Client.connect({ pool, servers: broker.url });
  cleanUp(t, () => client.close());
  const lane = await DurableLane.open({ pool, servers: broker.url });
  cleanUp(t, () => lane.close());
  const isOpen = ({ pools }: ManagerService) => pools?.durable?.isOpen(pool) === true;
  await eventually(() => managers.every(isOpen), { what: "the lane at both managers" });
  const enqueue = (key: string, index: number, concurrencyKey = key) =>
    client.enqueue(JSON.stringify({ key, index }), { concurrencyKey, timeoutMs: 120_000 });
  return { pool, seen, client, lane, enqueue };
}

const limitedAt = (pool: string) =>
  managers.map(({ pools }) => pools?.durable?.of(pools.get(pool))?.limited ?? 0).reduce((a, b) => a + b, 0);

/** Sets a limit, and waits until each manager has heard of it: what one begins before is not counted. */
async function setEverywhere(lane: DurableLane, limit: Limit): Promise<void> {
  await lane.limits.set(limit);
  await eventually(() =>
    managers.every(({ pools }) => {
      const heard = pools?.durable?.of(pools.get(lane.pool))?.limits.current.get(limit.target);
      return JSON.stringify(heard) === JSON.stringify(checkLimit(limit));
    }),
  );
}

async function allJobsEnd(receipts: { result(o: { timeoutMs: number }): Promise<unknown> }[]): Promise<void> {
  await Promise.all(receipts.map((receipt) => receipt.result({ timeoutMs: 240_000 })));
}

test("limits - two managers run at most three jobs of each key at once, and every job runs once", async (t) => {
  const { seen, lane, enqueue } = await startPool(t, "l-keys");
  await setEverywhere(lane, { target: "each-key", running: 3 });
  const receipts = await Promise.all(Array.from({ length: 240 }, (_, index) => enqueue(`tenant-${index % 4}`, index)));
  await allJobsEnd(receipts);
  for (let key = 0; key < 4; key += 1) assert.equal(seen.most.get(`tenant-${key}`), 3, `tenant-${key}`);
  assert.equal(seen.runs.length, 240);
  assert.equal(new Set(seen.runs.map(({ index }) => index)).size, 240);
});

test("limits - a key at its limit with hundreds of waiting jobs does not keep other keys and jobs without a key from running", async (t) => {
  const { pool, seen, lane, client, enqueue } = await startPool(t, "l-hot");
  await setEverywhere(lane, { target: "each-key", running: 1 });
  seen.gated.add("hot");
  const hot = await Promise.all(Array.from({ length: 600 }, (_, index) => enqueue("hot", index)));
  await eventually(() => limitedAt(pool) === 599, { what: "all but one wait" });
  // The manager that has a job says so within 150 ms, or it is told as the stream has it.
  await eventually(async () => {
    const states = await Promise.all(hot.slice(0, 20).map(async ({ id }) => (await client.lookup(id)).state));
    assert.deepEqual(new Set(states).has("limited"), true);
    return states.every((state) => state === "limited" || state === "running");
  });
  const others = await Promise.all([enqueue("cold", 1), client.enqueue(JSON.stringify({ key: "none", index: 2 }))]);
  await allJobsEnd(others);
  assert.equal(seen.count("hot"), 1);
  const metrics = await Promise.all(managers.map(async ({ url }) => (await fetch(`${url}/metrics`)).text()));
  const figures = metrics.map((text) => Number(/durable_limited_jobs\{pool="l-hot"\} (\d+)/.exec(text)?.[1]));
  assert.equal((figures[0] ?? 0) + (figures[1] ?? 0), 599);
  for (const { pools } of managers) {
    const told = () => pools?.durable?.heldBack(pool)?.limited;
    await eventually(() => told() === 599, { what: "each manager knows what both hold back" });
  }
  await client.cancel(hot[599]?.id ?? "");
  seen.open();
  await allJobsEnd(hot.slice(0, 599));
  assert.equal((await failure((hot[599] as (typeof hot)[0]).result({ timeoutMs: 5_000 }))).reason, "canceled");
  assert.equal(seen.most.get("hot"), 1);
  assert.equal(seen.count("hot"), 599, "the canceled one did not run");
});

test("limits - one that is raised, lowered or removed holds at both managers for jobs that begin from then on", async (t) => {
  const { seen, lane, enqueue } = await startPool(t, "l-live");
  await setEverywhere(lane, { target: "each-key", running: 2 });
  seen.gated.add("a");
  const receipts = await Promise.all(Array.from({ length: 40 }, (_, index) => enqueue("a", index)));
  await eventually(() => seen.running.get("a") === 2);
  await setEverywhere(lane, { target: "key:a", running: 5 });
  await eventually(() => seen.running.get("a") === 5);
  await lane.limits.remove("key:a");
  assert.deepEqual(await lane.limits.list(), [{ target: "each-key", running: 2 }]);
  await lane.limits.remove("each-key");
  await eventually(() => seen.running.get("a") === 40, { what: "all run, since there is no limit" });
  seen.open();
  await allJobsEnd(receipts);
  await setEverywhere(lane, { target: "each-key", running: 1 });
  seen.most.clear();
  await allJobsEnd(await Promise.all(Array.from({ length: 20 }, (_, index) => enqueue("a", index))));
  assert.equal(seen.most.get("a"), 1);
});

test("limits - no window has more starts than a rate allows, for a key and for the whole pool", async (t) => {
  const { seen, lane, enqueue } = await startPool(t, "l-rate");
  await setEverywhere(lane, { target: "pool", starts: 10, perMs: 1_000 });
  const poolMs = performance.now();
  await allJobsEnd(await Promise.all(Array.from({ length: 25 }, (_, index) => enqueue(`k-${index}`, index))));
  // The worker hears of a job later than it got leave, by a time that noise makes longer. So only the time since the jobs
  // were enqueued is certain: the 21st start has two whole windows before it.
  assert.ok((seen.startsMs[20] ?? 0) - poolMs > 1_900, `${(seen.startsMs[20] ?? 0) - poolMs} ms`);
  await lane.limits.remove("pool");
  await setEverywhere(lane, { target: "key:slow", starts: 1, perMs: 1_000 });
  seen.startsMs.length = 0;
  const keyMs = performance.now();
  await allJobsEnd(await Promise.all([enqueue("slow", 1), enqueue("slow", 2), enqueue("slow", 3)]));
  const spanMs = (seen.startsMs[2] ?? 0) - keyMs;
  assert.ok(spanMs > 1_900, `${spanMs} ms for three starts, of which two waited a second each`);
});

test("limits - a limit of the whole pool holds beside those of keys, and for jobs without a key", async (t) => {
  const { seen, lane, client, enqueue } = await startPool(t, "l-both");
  await setEverywhere(lane, { target: "pool", running: 4 });
  await setEverywhere(lane, { target: "each-key", running: 3 });
  let running = 0;
  let most = 0;
  const run = seen.run.bind(seen);
  seen.run = async (job) => {
    running += 1;
    most = Math.max(most, running);
    const result = await run(job);
    running -= 1;
    return result;
  };
  const keyed = Array.from({ length: 60 }, (_, index) => enqueue(`k-${index % 2}`, index));
  const plain = Array.from({ length: 30 }, (_, index) => client.enqueue(JSON.stringify({ key: "", index })));
  await allJobsEnd(await Promise.all([...keyed, ...plain]));
  assert.equal(most, 4);
  assert.ok((seen.most.get("k-0") ?? 0) <= 3);
  assert.equal(seen.runs.length, 90);
});

test("limits - a key may have any characters but control characters, and touches no other key", async (t) => {
  const { seen, lane, client, enqueue } = await startPool(t, "l-odd");
  await setEverywhere(lane, { target: "each-key", running: 1 });
  const keys = [
    "*",
    ">",
    "a.b",
    "pool",
    "limits",
    "../..",
    'q"\\',
    "ключ ключ",
    "🔑",
    "a: b",
    "k".repeat(128),
    "__proto__",
  ];
  for (const key of keys) seen.gated.add(key);
  const receipts = await Promise.all(keys.flatMap((key) => [enqueue(key, 1), enqueue(key, 2)]));
  await eventually(() => keys.every((key) => seen.running.get(key) === 1), { what: "one of each key" });
  seen.open();
  await allJobsEnd(receipts);
  for (const key of keys) assert.equal(seen.most.get(key), 1, key);
  for (const key of ["", " a", "a ", "a\nb", "a\r\nPool-X: 1", "k".repeat(129), "\u0000", "\ud800", 7 as never]) {
    const error = await failure(client.enqueue("{}", { concurrencyKey: key }));
    assert.equal(error.reason, "invalid_argument", JSON.stringify(key));
    assert.equal(error.field, "concurrencyKey");
  }
});

test("limits - nats, HTTP and the command line set, list and remove them, and say what is wrong", async (t) => {
  const { pool, lane, seen } = await startPool(t, "l-doors");
  const nc = await connect({ servers: broker.url });
  cleanUp(t, () => nc.close());
  const ask = async (words: string) => nc.request(names.limits(pool), words, { timeout: 5_000 });
  assert.equal((await ask("list")).string(), "[]");
  assert.equal(
    (await ask('{"set":{"target":"each-key","starts":5}}')).string(),
    '[{"target":"each-key","starts":5,"perMs":1000}]',
  );
  for (const words of [
    "x",
    "{}",
    "null",
    '{"set":1}',
    '{"set":{"target":"each-key"}}',
    '{"set":{"target":"all","running":1}}',
    '{"set":{"target":"key:","running":1}}',
    '{"set":{"target":"pool","running":0}}',
    '{"set":{"target":"pool","running":1001}}',
    '{"set":{"target":"pool","running":1,"perMs":5000}}',
    '{"set":{"target":"pool","starts":1,"perMs":99}}',
    '{"remove":7}',
    '{"remove":"every"}',
  ]) {
    assert.equal((await ask(words)).headers?.get("Pool-Error"), "invalid_argument", words);
  }
  assert.equal((await ask('{"remove":"pool"}')).headers?.get("Pool-Error"), "not_found");
  const post = async (method: string, body: object, token: object = { authorization: `Bearer ${CONTROL_TOKEN}` }) => {
    const url = `${managers[0]?.url}/poolmesh.v1.DurableService/${method}`;
    const init = { method: "POST", headers: { "content-type": "application/json", ...token } };
    return (await fetch(url, { ...init, body: JSON.stringify({ pool, ...body }) })).json();
  };
  assert.match(
    JSON.stringify(await post("SetLimit", { limit: { target: "pool", running: 3 } }, {})),
    /unauthenticated/,
  );
  assert.deepEqual(await post("SetLimit", { limit: { target: "pool", running: 3 } }), {});
  assert.match(JSON.stringify(await post("SetLimit", {})), /invalid_argument/);
  assert.deepEqual(await post("ListLimits", {}), {
    limits: [
      { target: "each-key", starts: 5, perMs: "1000" },
      { target: "pool", running: 3 },
    ],
  });
  assert.deepEqual(await post("RemoveLimit", { target: "pool" }), {});
  assert.match(JSON.stringify(await post("RemoveLimit", { target: "pool" })), /not_found/);
  const env = { NATS_URL: broker.url, POOLMESH_CONTROL_TOKEN: CONTROL_TOKEN };
  const shell = (...args: string[]) => runInShell(args, env);
  for (const url of [[], ["--url", managers[0]?.url ?? ""]]) {
    const set = await shell("limits", pool, "set", "key:a b", "--running", "2", ...url);
    assert.equal(set.stdout, "key:a b: 2 at once\n");
    const window = await shell("limits", pool, "set", "key:slow", "--starts", "9", "--per-ms", "120000", ...url);
    assert.equal(window.stdout, "key:slow: 9 starts in 2 min\n");
    const list = await shell("limits", pool, ...url);
    assert.match(list.stdout, /each-key +5 starts in 1 s\n/);
    assert.match(list.stdout, /key:a b +2 at once\n/);
    const removed = await shell("limits", pool, "remove", "key:a b", ...url);
    assert.equal(removed.stdout, "key:a b has no limit of its own any more\n");
  }
  assert.notEqual((await shell("limits", pool, "set", "each-key")).code, 0);
  await setEverywhere(lane, { target: "each-key", running: 1 });
  const printed = await shell("enqueue", pool, '{"key":"x","index":1}', "--key", "x", "--wait");
  assert.equal(printed.stdout, "1");
  const subject = names.job(pool, "normal", "by-hand");
  const { headers } = await import("nats");
  const h = headers();
  h.append("Pool-Concurrency-Key", "x");
  seen.gated.add("x");
  await nc.request(subject, '{"key":"x","index":2}', { headers: h, timeout: 5_000 });
  await nc.request(names.enqueue(pool), '{"key":"x","index":3}', { headers: h, timeout: 5_000 });
  await eventually(() => limitedAt(pool) === 1, { what: "a job of each door, of one key" });
  seen.open();
  await eventually(() => seen.count("x") === 3);
});

test("limits - what has ended leaves no record, and a pool without limits has none", async (t) => {
  const { pool, lane, enqueue } = await startPool(t, "l-clean");
  const store = new LaneStore(await connectBus(t, broker));
  const records = () => store.count(names.limitsStream, names.everyLimit(pool));
  await allJobsEnd([await enqueue("a", 1)]);
  assert.equal(await records(), 0);
  await setEverywhere(lane, { target: "each-key", running: 2 });
  await allJobsEnd(await Promise.all(Array.from({ length: 50 }, (_, index) => enqueue(`k-${index % 20}`, index))));
  await eventually(async () => (await records()) === 1, { what: "only the limits themselves" });
});

test("limits - kill -9 of a manager that runs jobs of a key: never more than the limit run, and the rest runs at the survivor", async (t) => {
  const pool = "l-kill";
  const own = await startBroker(t);
  const seen = new Seen();
  seen.gated.add("a");
  const manager = async (id: string): Promise<TestProcess> => {
    const args = ["manager", "--id", id, "--durable", "--pools", pool, "--listen", "127.0.0.1:0", "--grace-ms", "0"];
    const child = startCli(t, [...args, "--log-level", "info"], { env: { NATS_URL: own.url } });
    await child.line(/"msg":"ready"/, 60_000);
    return child;
  };
  const doomed = await manager("doomed");
  await startWorker(t, own.url, pool, seen);
  const client = await Client.connect({ pool, servers: own.url });
  cleanUp(t, () => client.close());
  const lane = await DurableLane.open({ pool, servers: own.url });
  cleanUp(t, () => lane.close());
  await eventually(() => lane.limits.set({ target: "each-key", running: 4 }).then(() => true));
  const receipts = await Promise.all(
    Array.from({ length: 60 }, (_, index) =>
      client.enqueue(JSON.stringify({ key: "a", index }), { concurrencyKey: "a", timeoutMs: 120_000 }),
    ),
  );
  await eventually(() => seen.running.get("a") === 4);
  await manager("survivor");
  await doomed.kill();
  const isLimitedElsewhere = async () => (await client.lookup(receipts[50]?.id ?? "")).state === "limited";
  await eventually(isLimitedElsewhere, { limitMs: 60_000, what: "the waiting jobs at the survivor" });
  assert.equal(seen.count("a"), 4, "the limit is used up by jobs that still run");
  seen.open();
  await allJobsEnd(receipts);
  assert.equal(seen.most.get("a"), 4);
  assert.equal(new Set(seen.runs.map(({ index }) => index)).size, 60);
});
