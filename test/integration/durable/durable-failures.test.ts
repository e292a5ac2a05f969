/** The durable lane when jobs fail: retries, dead letters, and jobs that may run once only. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, headers as natsHeaders } from "nats";
import { Client } from "../../../client/client.js";
import type { DurableLane } from "../../../client/durable/operator.js";
import { LaneStore } from "../../../mesh/durable/store.js";
import { PermanentError, PoolError } from "../../../mesh/errors.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { ManagerService } from "../../../services/manager/service.js";
import { type Handler, Worker } from "../../../services/worker/worker.js";
import type { Owner } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { runInShell, type ShellExit } from "../../support/docs/fake-shell.js";
import { startDurableMesh } from "../../support/durable-mesh.js";
import { failure } from "../../support/failure.js";
import { leakGuard } from "../../support/leak-guard.js";
import { TcpProxy } from "../../support/proxy/tcp-proxy.js";
import { eventually, gate } from "../../support/wait.js";

leakGuard();
const mesh = await startDurableMesh();
const { servers, service } = mesh;

const QUICK = { baseMs: 10, capMs: 20 };

const startPool = (t: Owner, pool: string, run: Handler<unknown, unknown>) =>
  mesh.startPool(t, pool, run, { slots: 4, graceMs: 100 });

function poolmesh(...argv: string[]): Promise<ShellExit> {
  return runInShell(argv, { NATS_URL: servers });
}

async function idsOf(lane: DurableLane): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of lane.dead.list()) ids.push(id);
  return ids;
}

test("durable - a job that fails is run again, and the attempt that succeeds is its outcome", async (t) => {
  let runs = 0;
  const [client, lane] = await startPool(t, "f-retry", () => {
    runs += 1;
    if (runs < 3) throw new Error(`failure ${runs}`);
    return runs;
  });
  const receipt = await client.enqueue("1", { backoff: QUICK });
  const result = await receipt.result({ timeoutMs: 10_000 });
  assert.deepEqual([result.json(), result.attempt, runs], [3, 3, 3]);
  assert.deepEqual(await idsOf(lane), []);
});

test("durable - after its last failure a job is a dead letter with payload, error and attempts", async (t) => {
  let runs = 0;
  const [client, lane] = await startPool(t, "f-dead", () => {
    runs += 1;
    throw Object.assign(new Error("broken pipe wrench"), { code: "tool.broken" });
  });
  const receipt = await client.enqueue('"the payload"', { maxAttempts: 2, backoff: QUICK, priority: "high" });
  const error = await failure(receipt.result({ timeoutMs: 10_000 }));
  assert.deepEqual([error.reason, error.jobCode, runs], ["job_failed", "tool.broken", 2]);
  const letter = await lane.dead.get(receipt.id);
  assert.ok(letter !== undefined);
  assert.deepEqual(
    [letter.error.message, letter.attempt, letter.priority, Buffer.from(letter.payload).toString()],
    ["broken pipe wrench", 2, "high", '"the payload"'],
  );
  assert.equal((await lane.figures()).dead, 1);
});

test("durable - while nobody can say whether a job has ended it waits at its manager, and no delivery is counted", async (t) => {
  let runs = 0;
  const [client] = await startPool(t, "f-no-leader", () => {
    runs += 1;
    if (runs === 1) throw new Error("once");
    return runs;
  });
  // As while the brokers elect a leader of the outcomes' stream.
  let looks = 0;
  const noLeader = t.mock.method(LaneStore.prototype, "last", async (_stream: string, subject: string) => {
    if (subject === "pool.f-no-leader.outcome.j1") looks += 1;
    throw new PoolError("bus_unavailable", "no responders");
  });
  const receipt = await client.enqueue("1", { id: "j1", backoff: QUICK, maxAttempts: 2 });
  await eventually(() => looks >= 3);
  noLeader.mock.restore();
  const result = await receipt.result({ timeoutMs: 10_000 });
  assert.deepEqual([result.json(), result.attempt], [2, 2]);
});

test("durable - while as many jobs of a level wait after a failure as may, new ones of it wait, other levels go on, and none is lost", async (t) => {
  const pool = "f-many";
  const most = 20;
  let fails = true;
  const [client, lane] = await startPool(t, pool, () => {
    if (fails) throw new Error("not yet");
    return 1;
  });
  const nc = await connect({ servers });
  cleanUp(t, () => nc.close());
  const { consumers } = await jetstreamManager(nc);
  // Managers set 50,000.
  const allow = (most: number) => consumers.update(`pool-jobs-${pool}`, "normal", { max_ack_pending: most });
  await allow(most);
  const later = { backoff: { baseMs: 600_000, capMs: 600_000 } };
  await Promise.all(Array.from({ length: most }, () => client.enqueue("1", later)));
  const retrying = async (): Promise<number> => {
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    return Number(/^poolmesh_manager_durable_retrying_jobs\{pool="f-many"\} (\d+)$/m.exec(metrics)?.[1]);
  };
  await eventually(async () => (await retrying()) === most, { what: "all wait" });
  fails = false;
  const next = await client.enqueue("1");
  const high = await client.enqueue("1", { priority: "high" });
  assert.equal((await high.result({ timeoutMs: 10_000 })).json(), 1);
  assert.equal((await lane.figures()).queued, 1, "the next one of their level waits");
  await allow(most + 1);
  assert.equal((await next.result({ timeoutMs: 10_000 })).json(), 1);
  // Its job goes from the stream after its outcome is stored.
  await eventually(async () => (await lane.figures()).stored === most, { what: "the others are all there" });
  assert.equal(await retrying(), most);
});

test("durable - what a retry cannot help is a dead letter at once", async (t) => {
  let runs = 0;
  const [client, lane] = await startPool(t, "f-permanent", () => {
    runs += 1;
    throw new PermanentError("no such card");
  });
  const receipt = await client.enqueue("1");
  const error = await failure(receipt.result({ timeoutMs: 10_000 }));
  assert.deepEqual([error.reason, runs, await idsOf(lane)], ["job_rejected", 1, [receipt.id]]);
  const malformed = await client.enqueue("{no json");
  assert.equal((await failure(malformed.result({ timeoutMs: 10_000 }))).reason, "invalid_argument");
});

test("durable - garbage in a job's headers makes a dead letter that keeps the payload", async (t) => {
  const [client, lane] = await startPool(t, "f-garbage", () => 1);
  const nc = await connect({ servers });
  cleanUp(t, () => nc.close());
  const headers = natsHeaders();
  headers.set(HEADER.maxAttempts, "a lot");
  await nc.request("pool.f-garbage.durable.normal.bad", "keep me", { headers, timeout: 2_000 });
  const outcome = await client.outcome("bad", { waitMs: 10_000 });
  assert.ok(outcome !== undefined && !outcome.ok);
  assert.deepEqual([outcome.error.reason, outcome.error.field], ["invalid_argument", HEADER.maxAttempts]);
  assert.equal(Buffer.from((await lane.dead.get("bad"))?.payload ?? []).toString(), "keep me");
  await nc.request("pool.f-garbage.durable.normal.no~name", "me too", { timeout: 2_000 });
  const named = await eventually(async () => (await idsOf(lane)).find((id) => id.startsWith("invalid-")));
  assert.equal(Buffer.from((await lane.dead.get(named))?.payload ?? []).toString(), "me too");
});

test("durable - a dead letter that is retried runs over the outcome of its death, once", async (t) => {
  let works = false;
  let runs = 0;
  const [client, lane] = await startPool(t, "f-again", () => {
    runs += 1;
    if (works) return "at last";
    throw new PermanentError("not yet");
  });
  const receipt = await client.enqueue("1", { id: "j1" });
  await failure(receipt.result({ timeoutMs: 10_000 }));
  works = true;
  await lane.dead.retry("j1");
  const outcome = await eventually(async () => {
    const now = await client.outcome("j1", { waitMs: 1_000 });
    return now?.ok ? now : undefined;
  });
  assert.equal(outcome.result.json(), "at last");
  assert.deepEqual([await idsOf(lane), runs], [[], 2]);
  assert.equal((await failure(lane.dead.retry("j1"))).reason, "not_found");
  assert.equal((await failure(lane.dead.purge("j1"))).reason, "not_found");
});

test("durable - a dead letter whose id is live again cannot be retried", async (t) => {
  const held = gate();
  t.after(() => held.open());
  let works = false;
  const [client, lane] = await startPool(t, "f-live", async () => {
    if (works) return held.promise;
    throw new PermanentError("not yet");
  });
  await failure((await client.enqueue("1", { id: "j1" })).result({ timeoutMs: 10_000 }));
  works = true;
  await client.enqueue("1", { id: "j1", rerun: true });
  assert.equal((await failure(lane.dead.retry("j1"))).reason, "duplicate_job");
});

test("dead - lists, shows, retries and purges from the command line", async (t) => {
  const [client] = await startPool(t, "f-cli", (job) => {
    if (Number(job.payload) > 1) throw new PermanentError(`no ${job.payload}`);
    return 1;
  });
  for (const id of ["2", "3", "4"]) await failure((await client.enqueue(id, { id })).result({ timeoutMs: 10_000 }));
  const table = await poolmesh("dead", "f-cli");
  assert.match(table.stdout, /^JOB +DIED +ATTEMPT +REASON +MESSAGE\n2 .* job_rejected +no 2\n3 .*\n4 .*\n$/);
  const shown = await poolmesh("dead", "f-cli", "show", "3", "--json");
  assert.match(shown.stdout, /"id":"3".*"reason":"job_rejected".*"input":"3"/);
  assert.match((await poolmesh("dead", "f-cli", "show", "3")).stdout, /^payload +3$/m);
  assert.equal((await poolmesh("dead", "f-cli", "retry")).code, 2, "which ones?");
  assert.equal((await poolmesh("dead", "f-cli", "purge", "2")).stdout, "2\n");
  const missing = await poolmesh("dead", "f-cli", "purge", "2");
  assert.deepEqual([missing.code, /2: not_found/.test(missing.stderr)], [1, true]);
  assert.equal((await poolmesh("dead", "f-cli", "retry", "4")).stdout, "4\n");
  await eventually(async () => /\n4 /.test((await poolmesh("dead", "f-cli")).stdout), { what: "it died again" });
  const purged = await poolmesh("dead", "f-cli", "purge", "--reason", "job_rejected");
  assert.equal(purged.stdout, "3\n4\n");
  assert.equal((await poolmesh("dead", "f-cli")).stdout, "");
});

test("durable - a job that may run once runs once when the handler succeeds, and leaves no claim", async (t) => {
  let runs = 0;
  const [client] = await startPool(t, "f-once", () => {
    runs += 1;
    return runs;
  });
  const receipt = await client.enqueue("1", { idempotent: false });
  assert.equal((await receipt.result({ timeoutMs: 10_000 })).json(), 1);
  const nc = await connect({ servers });
  cleanUp(t, () => nc.close());
  await eventually(async () => {
    const request = JSON.stringify({ last_by_subj: `pool.f-once.claim.${receipt.id}` });
    const answer = await nc.request("$JS.API.STREAM.MSG.GET.pool-claims", request, { timeout: 10_000 });
    return answer.json<{ error?: { code: number } }>().error?.code === 404;
  });
});

test("durable - a job that may run once is retried when it is known that nothing of it runs", async (t) => {
  let runs = 0;
  const [client] = await startPool(t, "f-once-threw", () => {
    runs += 1;
    if (runs < 2) throw new Error("thrown, so it has ended");
    return runs;
  });
  const receipt = await client.enqueue("1", { idempotent: false, backoff: QUICK });
  assert.equal((await receipt.result({ timeoutMs: 10_000 })).json(), 2);
});

test("durable - a job that may run once never runs again when the worker that had it is lost", async (t) => {
  const pool = "f-once-lost";
  // The worker that has the job is cut off; another one would run it.
  const link = new TcpProxy(servers);
  await link.start();
  cleanUp(t, () => link.stop());
  let runs = 0;
  const held = gate();
  t.after(() => held.open());
  const started = gate();
  const lost = new Worker({
    pool,
    slots: 1,
    graceMs: 0,
    servers: link.url,
    run: () => {
      runs += 1;
      started.open();
      return held.promise;
    },
  });
  cleanUp(t, () => lost.stop());
  await lost.start();
  await eventually(() => service.pools?.durable?.of(service.pools?.get(pool)) !== undefined);
  const other = await Client.connect({ pool, servers });
  cleanUp(t, () => other.close());
  const receipt = await other.enqueue("1", { idempotent: false });
  await started.promise;
  const [client, lane] = await startPool(t, pool, () => {
    runs += 1;
    return "another job";
  });
  await link.stop();
  const error = await failure(receipt.result({ timeoutMs: 10_000 }));
  assert.deepEqual([error.reason, error.maybeExecuted, runs], ["worker_lost", true, 1]);
  assert.ok(error instanceof PoolError);
  assert.deepEqual(await idsOf(lane), [receipt.id]);
  assert.equal((await client.enqueue("2").then((each) => each.result({ timeoutMs: 5_000 }))).json(), "another job");
});

test("durable - a pool whose parked queue is full costs a stored job no delivery", async (t) => {
  const open = gate();
  const [client] = await startPool(t, "f-full", async (job) => {
    if (job.id.startsWith("blocks")) await open.promise;
    return "ran";
  });
  const pool = service.pools?.get("f-full");
  assert.ok(pool !== undefined);
  const blocking = Array.from({ length: 4 }, (_, i) => client.submit("", { id: `blocks-${i}`, timeoutMs: 30_000 }));
  await eventually(() => pool.dispatcher.sentJobs === 4);
  const refusal = t.mock.method(pool.dispatcher.parked, "refusal", () => "jobs" as const);
  const receipt = await client.enqueue("1");
  await eventually(() => refusal.mock.callCount() >= 2, { what: "it to be refused twice" });
  refusal.mock.restore();
  open.open();
  await Promise.all(blocking);
  const result = await receipt.result({ timeoutMs: 10_000 });
  assert.deepEqual([result.json(), result.attempt], ["ran", 1]);
});

test("durable - a job that waits for room and is canceled meanwhile never runs", async (t) => {
  const ran: string[] = [];
  const [client] = await startPool(t, "f-full-cancel", (job) => void ran.push(job.id));
  const pool = service.pools?.get("f-full-cancel");
  assert.ok(pool !== undefined);
  const full = t.mock.method(pool, "submitStored", () => {
    throw new PoolError("pool_full", "no room");
  });
  const receipt = await client.enqueue("1");
  await eventually(() => full.mock.callCount() === 1, { what: "it to be refused" });
  await client.cancel(receipt.id);
  full.mock.restore();
  assert.equal((await failure(receipt.result({ timeoutMs: 10_000 }))).reason, "canceled");
  await eventually(() => service.pools?.durable?.of(pool)?.held === 0, { what: "it to be settled" });
  assert.deepEqual(ran, []);
});

test("durable - a manager that stops gives back at once what waits for room, and another one runs it", async (t) => {
  const [client] = await startPool(t, "f-full-stop", () => "ran");
  const pool = service.pools?.get("f-full-stop");
  assert.ok(pool !== undefined);
  const lane = service.pools?.durable?.of(pool);
  assert.ok(lane !== undefined);
  const full = t.mock.method(pool, "submitStored", () => {
    throw new PoolError("pool_full", "no room");
  });
  const receipt = await client.enqueue("1");
  await eventually(() => full.mock.callCount() === 1 && lane.held === 1, { what: "it to be refused" });
  lane.drain();
  assert.equal(lane.held, 0);
  await lane.finish();
  const listen = { host: "127.0.0.1", port: 0 };
  const other = new ManagerService({ bus: { servers }, listen, graceMs: 100, durable: true });
  cleanUp(t, () => other.stop());
  await other.start();
  // The broker would deliver by itself what nobody gives back: after 30 seconds.
  assert.equal((await receipt.result({ timeoutMs: 15_000 })).json(), "ran");
});
