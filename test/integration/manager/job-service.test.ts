/** JobService: the jobs of all managers through any of them, and what happens to jobs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, createClient, type Client as Rpc } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { ManagerHeartbeatSchema } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import {
  JobEventKind,
  JobFilterSchema,
  JobQueryAnswerSchema,
  JobQuerySchema,
  JobService,
  type JobView,
  JobViewState,
} from "../../../gen/poolmesh/v1/job_pb.js";
import { PermanentError } from "../../../mesh/errors.js";
import { JobFeeds } from "../../../mesh/inspect/follow-jobs.js";
import { decodeEvent, wordOf } from "../../../mesh/job/job-events.js";
import { ownerOf } from "../../../mesh/wire/owner.js";
import { Subjects } from "../../../mesh/wire/subjects.js";
import { Manager } from "../../../services/manager/manager.js";
import { ManagerService } from "../../../services/manager/service.js";
import { connectBus } from "../../support/broker.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { errorOf } from "../../support/doors/http-service.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { eventually, gate } from "../../support/wait.js";

leakGuard();
const POOL = "looked-at";
const mesh = await startMesh(WHOLE_FILE, { manager: { id: "m1", showPayloads: true } });
const second = new ManagerService({
  id: "m2",
  bus: { servers: mesh.natsUrl },
  listen: { host: "127.0.0.1", port: 0 },
  graceMs: 0,
});
cleanUp(WHOLE_FILE, () => second.stop());
await second.start();
const embedded = await Manager.connect({ pool: POOL, id: "m3", servers: mesh.natsUrl, graceMs: 0 });
cleanUp(WHOLE_FILE, () => embedded.close());
const bus = await connectBus(WHOLE_FILE, mesh.broker);
const clientOf = (url: string): Rpc<typeof JobService> =>
  createClient(JobService, createConnectTransport({ baseUrl: url, httpVersion: "1.1" }));
const jobs = clientOf(mesh.manager.url);
const jobsAtSecond = clientOf(second.url);

let hold = gate();
await mesh.addWorker<{ say: string }, string>({
  pool: POOL,
  id: "w1",
  slots: 2,
  run: async ({ payload: { say } }) => {
    if (say === "no") throw Object.assign(new PermanentError("it says no"), { code: "said.no" });
    if (say === "hold") await hold.promise;
    return say;
  },
});
await mesh.untilCapacity(POOL, 2);
await eventually(() => embedded.capacity.slots === 2);
// All managers know of each other: whoever is asked asks the two others.
const managers = [mesh.manager.pools, second.pools];
await eventually(() => managers.every((pools) => pools?.peers.managers(POOL).length === 2));

/** An id that one of the managers owns. */
function idOf(manager: string, prefix: string): string {
  for (let i = 0; ; i += 1) if (ownerOf(["m1", "m2"], POOL, `${prefix}-${i}`) === manager) return `${prefix}-${i}`;
}

function run(manager: ManagerService, id: string, say: string, client = ""): Promise<unknown> {
  const payload = Buffer.from(JSON.stringify({ say }));
  return new Promise((resolve) => manager.pools?.get(POOL).submit(payload, { id, client }, { onEnd: resolve }));
}

async function listed(rpc: Rpc<typeof JobService>, filter: object = {}): Promise<JobView[]> {
  const found: JobView[] = [];
  let pageToken = "";
  do {
    const page = await rpc.listJobs({ filter: { pool: POOL, ...filter }, pageSize: 2, pageToken });
    assert.deepEqual(page.silentManagers, []);
    found.push(...page.jobs);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return found;
}

test("jobs of all managers are told once each through any of them, also in pages, with what became of them", async (t) => {
  hold = gate();
  t.after(() => hold.open());
  const [atFirst, atSecond] = [idOf("m1", "good"), idOf("m2", "bad")];
  await run(mesh.manager, atFirst, "fine", "ci");
  await run(second, atSecond, "no");
  const running = [embedded.submit({ say: "hold" }), embedded.submit({ say: "hold" })];
  await eventually(async () => (await listed(jobs, { states: [JobViewState.RUNNING] })).length === 2);
  const parked = embedded.submit({ say: "last" });
  for (const rpc of [jobs, jobsAtSecond]) {
    const found = await listed(rpc);
    assert.equal(found.length, 5);
    assert.equal(new Set(found.map(({ jobId }) => jobId)).size, 5);
    const [last, ...rest] = found;
    assert.deepEqual([last?.state, last?.manager, last?.worker, last?.attempt], [JobViewState.PARKED, "m3", "", 0]);
    const byId = new Map(rest.map((job) => [job.jobId, job]));
    const good = byId.get(atFirst);
    assert.deepEqual([good?.state, good?.manager, good?.worker], [JobViewState.SUCCEEDED, "m1", "w1"]);
    assert.deepEqual([good?.client, good?.resultBytes, good?.payloadBytes], ["ci", 6n, 14n]);
    assert.deepEqual([good?.payload, good?.result], [undefined, undefined], "a list shows none");
    assert.ok(good?.submittedAt !== undefined && good.endedAt !== undefined && good.totalMs >= good.runMs);
    const bad = byId.get(atSecond);
    assert.deepEqual([bad?.state, bad?.manager], [JobViewState.FAILED, "m2"]);
    assert.deepEqual([bad?.error?.reason, bad?.error?.message], ["job_rejected", "it says no"]);
    assert.equal(bad?.error?.code, "said.no");
  }
  const some = await listed(jobs, { reason: "job_rejected" });
  assert.deepEqual(
    some.map(({ jobId }) => jobId),
    [atSecond],
  );
  assert.deepEqual(
    (await listed(jobs, { client: "ci" })).map(({ jobId }) => jobId),
    [atFirst],
  );
  hold.open();
  await Promise.all([...running, parked]);
});

test("one job is found by its id at whichever manager it is, in its pool or in any, with its payload where it is shown", async () => {
  const [atFirst, atSecond] = [idOf("m1", "shown"), idOf("m2", "kept")];
  await run(mesh.manager, atFirst, "fine");
  await run(second, atSecond, "fine");
  for (const rpc of [jobs, jobsAtSecond]) {
    const { job } = await rpc.getJob({ pool: POOL, jobId: atFirst });
    assert.deepEqual([job?.manager, job?.state], ["m1", JobViewState.SUCCEEDED]);
    assert.equal(Buffer.from(job?.payload?.bytes ?? []).toString(), '{"say":"fine"}');
    assert.equal(Buffer.from(job?.result?.bytes ?? []).toString(), '"fine"');
    const other = (await rpc.getJob({ jobId: atSecond })).job;
    assert.deepEqual([other?.manager, other?.payload, other?.result], ["m2", undefined, undefined], "m2 shows none");
    const missing = await errorOf(rpc.getJob({ jobId: "nowhere" }));
    assert.deepEqual([missing.code, /no manager has a job/.test(missing.message)], [Code.NotFound, true]);
  }
});

test("a page that is too large, a token that is none and a pool that is no name are refused by their field", async () => {
  for (const [request, field] of [
    [{ pageSize: 1_001 }, "page_size"],
    [{ pageToken: "x" }, "page_token"],
    [{ filter: { pool: "a b" } }, "pool"],
  ] as const) {
    const error = await errorOf(jobs.listJobs(request));
    assert.deepEqual([error.code, error.message.includes(field)], [Code.InvalidArgument, true], error.message);
  }
});

test("what is no question is answered with what is wrong, and jobs are told on the pool's own subject only", async () => {
  const ask = async (subject: string, payload: Uint8Array) =>
    fromBinary(JobQueryAnswerSchema, (await bus.nc.request(subject, payload, { timeout: 20_000 })).data);
  for (const garbage of [Buffer.from("{}"), Buffer.from([0xff, 0xff]), new Uint8Array()]) {
    const { error } = await ask(`pool.${POOL}.jobs`, garbage);
    assert.deepEqual([error?.reason, error?.field], ["invalid_argument", "query"]);
  }
  const query = create(JobQuerySchema, { query: { case: "list", value: { filter: { pool: POOL } } } });
  const { jobs: found } = await ask("pool.other-pool.jobs", toBinary(JobQuerySchema, query));
  assert.deepEqual(found, [], "the subject counts, which the broker's permissions guard, and not the filter");
});

test("a client that goes to another manager leaves one job behind: the one that is live", async (t) => {
  hold = gate();
  t.after(() => hold.open());
  const id = idOf("m1", "moved");
  const payload = Buffer.from('{"say":"hold"}');
  const headers = { jobId: id, nonce: "n1", clockMs: 1 };
  let ended = 0;
  const listener = { nonce: "n1", onEnd: () => (ended += 1) };
  mesh.manager.pools?.get(POOL).submit(payload, headers, listener);
  mesh.manager.pools?.get(POOL).onCancel(id, { upToAttempt: 1_000, nonce: "n1" });
  assert.equal(ended, 1, "revoked at the first");
  second.pools?.get(POOL).submit(payload, { ...headers, attempt: 1_001 }, listener);
  const found = (await listed(jobs)).filter(({ jobId }) => jobId === id);
  assert.deepEqual(
    found.map(({ manager }) => manager),
    ["m2"],
  );
});

test("who watches hears all that happens to the jobs of all managers, whichever of them it asks", async (t) => {
  const heard: string[] = [];
  const abort = new AbortController();
  t.after(() => abort.abort());
  const isTelling = (): boolean => managers.some((pools) => pools?.find(POOL)?.totals.observer !== undefined);
  const stream = jobs.watchJobs({ filter: { pool: POOL } }, { signal: abort.signal })[Symbol.asyncIterator]();
  assert.deepEqual((await stream.next()).value?.events, [], "the first answer says that it has begun");
  const reading = (async () => {
    for (;;) {
      const { value, done } = await stream.next();
      if (done) return;
      for (const { kind, jobId } of value.events) heard.push(`${wordOf(kind)} ${jobId}`);
    }
  })().catch(() => {});
  assert.equal(isTelling(), true);
  const [good, bad] = [idOf("m2", "watched"), idOf("m1", "watched-bad")];
  await run(second, good, "fine");
  await run(mesh.manager, bad, "no");
  await eventually(() => heard.includes(`succeeded ${good}`) && heard.includes(`failed ${bad}`));
  const ofGood = heard.filter((line) => line.endsWith(` ${good}`)).map((line) => line.split(" ")[0]);
  assert.deepEqual([ofGood[0], ofGood.at(-1)], ["submitted", "succeeded"]);
  assert.ok(ofGood.includes("sent"), "a worker whose slot is not free yet may have refused it in between");
  abort.abort();
  await reading;
});

test("events are plain JSON on pool.P.event.KIND, and a manager that is told to tells them although nobody asks", async (t) => {
  const told: string[] = [];
  const subscription = bus.subscribe("pool.told.event.*", (msg) => {
    const event = decodeEvent(msg.data)?.event;
    told.push(`${msg.subject.split(".").at(-1)} ${event?.kind === JobEventKind.SUCCEEDED ? event.worker : ""}`.trim());
  });
  t.after(() => subscription.unsubscribe());
  await bus.flush();
  const manager = await Manager.connect({ pool: "told", servers: mesh.natsUrl, graceMs: 0, jobEvents: true });
  t.after(() => manager.close());
  await mesh.addWorker({ pool: "told", id: "w2", run: () => "done" }, t);
  await manager.submit("1", { waitForPool: true });
  await eventually(() => told.includes("succeeded w2"));
  assert.ok(told.includes("submitted") && told.includes("sent"), told.join());
});

test("a reader that is too slow gets the newest events and is told how many it did not get", async (t) => {
  const abort = new AbortController();
  t.after(() => abort.abort());
  const feeds = new JobFeeds(bus, new Subjects(), undefined);
  const filter = create(JobFilterSchema, { pool: "slow" });
  const batches = feeds.follow({ filter, signal: abort.signal });
  const event = { event: "sent", at: new Date(0).toISOString(), pool: "slow", manager: "m" };
  await bus.flush();
  for (let i = 0; i < 3_500; i += 1) {
    bus.publish("pool.slow.event.sent", Buffer.from(JSON.stringify({ ...event, job: `j${i}` })));
  }
  await bus.flush();
  const { value } = await batches.next();
  assert.deepEqual([value?.events.length, value?.dropped, value?.events.at(-1)?.jobId], [1_000, 2_500, "j3499"]);
  abort.abort();
  assert.equal((await batches.next()).done, true);
});

test("a manager that is there and does not answer is named, and the others' jobs are shown all the same", async () => {
  const heartbeat = create(ManagerHeartbeatSchema, {
    ...{ manager: "ghost", pool: POOL, incarnation: 1n, allPools: true, heartbeatIntervalMs: 60_000, seq: 1n },
  });
  await run(mesh.manager, idOf("m1", "with-ghost"), "fine");
  bus.publish(`pool.${POOL}.manager.ghost`, toBinary(ManagerHeartbeatSchema, heartbeat));
  await eventually(() => mesh.manager.pools?.peers.managers(POOL).includes("ghost") === true);
  for (let again = 0; again < 2; again += 1) {
    const page = await jobs.listJobs({ filter: { pool: POOL } });
    assert.deepEqual(page.silentManagers, ["ghost"]);
    assert.deepEqual(new Set(page.jobs.map(({ manager }) => manager)), new Set(["m1", "m2", "m3"]));
  }
  const gone = create(ManagerHeartbeatSchema, { ...heartbeat, seq: 2n, stopped: true });
  bus.publish(`pool.${POOL}.manager.ghost`, toBinary(ManagerHeartbeatSchema, gone));
  await eventually(() => mesh.manager.pools?.peers.managers(POOL).includes("ghost") === false);
});
