/** A whole mesh runs with the sets of the table, and a worker's credential in the wrong hands gains nothing by them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { Rights } from "../../../cli/rights/right.js";
import { rightsOf } from "../../../cli/rights/table.js";
import { Client } from "../../../client/client.js";
import { JobService } from "../../../gen/poolmesh/v1/job_pb.js";
import { ManagerService } from "../../../services/manager/service.js";
import { Meter } from "../../../services/meter/meter.js";
import type { Job } from "../../../services/worker/worker.js";
import { Worker } from "../../../services/worker/worker.js";
import { cleanUp, type Owner } from "../../support/clean-up.js";
import { runInShell } from "../../support/docs/fake-shell.js";
import { type Kind, type RightsBroker, serversOfTests, startRightsBroker } from "../../support/doors/rights-broker.js";
import { Thief } from "../../support/doors/thief.js";
import { leakGuard } from "../../support/leak-guard.js";
import { readableLog } from "../../support/log-lines.js";
import { TcpProxy } from "../../support/proxy/tcp-proxy.js";
import { eventually, gate, within } from "../../support/wait.js";

leakGuard();

const LISTEN = { host: "127.0.0.1", port: 0 };
const RIGHTS = {
  shop: rightsOf({ role: "client", pools: ["adder"], name: "shop" }),
  w1: rightsOf({ role: "worker", pools: ["adder"], name: "w1" }),
  w2: rightsOf({ role: "worker", pools: ["adder"], name: "w2" }),
  m1: rightsOf({ role: "manager", name: "m1" }),
  m2: rightsOf({ role: "manager", pools: ["adder"], name: "m2" }),
  meter: rightsOf({ role: "meter", name: "meter" }),
  ops: rightsOf({ role: "operator", name: "ops" }),
};

/** A mesh in which each part has its own rights. */
class StrictMesh {
  readonly held = gate();
  readonly #log = readableLog();
  readonly #t: Owner;
  readonly rights: RightsBroker;

  constructor(t: Owner, rights: RightsBroker) {
    this.#t = t;
    this.rights = rights;
  }

  static async start(t: Owner, kind: Kind, binary?: string): Promise<StrictMesh> {
    return new StrictMesh(t, await startRightsBroker(t, kind, Object.values(RIGHTS), binary));
  }

  /** What the broker has refused to any part. */
  get refused(): unknown[] {
    return ["the broker reports an error", "subscription failed"].flatMap((msg) => this.#log.named(msg));
  }

  bus(rights: Rights) {
    return { ...this.rights.busOptions(rights), log: this.#log.log };
  }

  async worker(rights: Rights, slots = 2): Promise<Worker> {
    const { name } = rights.holder;
    const worker = new Worker({
      pool: "adder",
      id: name,
      slots,
      graceMs: 0,
      ...this.bus(rights),
      run: async ({ payload, signal }: Job<unknown>) => {
        if (payload === "hold") await Promise.race([this.held.promise, aborted(signal)]);
        return typeof payload === "number" ? payload + 1 : payload;
      },
    });
    cleanUp(this.#t, () => worker.stop());
    await worker.start();
    return worker;
  }

  async manager(rights: Rights, servers = this.rights.broker.url): Promise<ManagerService> {
    const { name, pools } = rights.holder;
    const bus = { ...this.bus(rights), servers };
    const manager = new ManagerService({ id: name, bus, listen: LISTEN, graceMs: 0, ...(pools ? { pools } : {}) });
    cleanUp(this.#t, () => manager.stop());
    await manager.start();
    return manager;
  }

  async meter(): Promise<Meter> {
    const meter = new Meter({ id: "meter", bus: this.bus(RIGHTS.meter), listen: LISTEN });
    cleanUp(this.#t, () => meter.stop());
    await meter.start();
    return meter;
  }

  async client(): Promise<Client> {
    const client = await Client.connect("adder", this.bus(RIGHTS.shop));
    cleanUp(this.#t, () => client.close());
    return client;
  }

  async poolmesh(rights: Rights, ...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    const { user, password, credsFile, nkeyFile, inboxPrefix } = this.rights.busOptions(rights);
    const env = Object.entries({
      NATS_URL: this.rights.broker.url,
      POOLMESH_USER: user,
      POOLMESH_PASSWORD: password,
      NATS_CREDS: credsFile,
      NATS_NKEY: nkeyFile,
      POOLMESH_INBOX_PREFIX: inboxPrefix,
    }).filter((each): each is [string, string] => each[1] !== undefined);
    return runInShell(argv, Object.fromEntries(env));
  }
}

for (const kind of ["users", "JWT"] as const) {
  test(`permissions - jobs, maps, cancels, the meter and a change of manager work with the sets (${kind})`, async (t) => {
    const mesh = await StrictMesh.start(t, kind);
    const proxy = new TcpProxy(mesh.rights.broker.url);
    cleanUp(t, () => proxy.stop());
    await proxy.start();
    const meter = await mesh.meter();
    await mesh.manager(RIGHTS.m1, proxy.url);
    await Promise.all([mesh.worker(RIGHTS.w1), mesh.worker(RIGHTS.w2)]);
    const client = await mesh.client();

    assert.equal((await client.submit("7")).json(), 8);
    let sums = 0;
    for await (const outcome of client.submitMany(Array.from({ length: 300 }, (_, i) => String(i)))) {
      if (outcome.ok) sums += 1;
    }
    assert.equal(sums, 300);
    await meterSees(meter, 4);

    const shown = createClient(JobService, createConnectTransport({ baseUrl: meter.url, httpVersion: "1.1" }));
    const listed = await shown.listJobs({ filter: { pool: "adder" }, pageSize: 5 });
    assert.deepEqual(
      [listed.jobs.length, listed.silentManagers],
      [5, []],
      "the meter asks managers with its own right",
    );

    const canceled = client.submit('"hold"', { id: "held" }).catch((error: { reason: string }) => error.reason);
    await eventually(() => isBusy(meter));
    await client.cancel("held");
    assert.equal(await canceled, "canceled");
    await eventually(async () => !(await isBusy(meter)));

    const moved = client.submit('"hold"', { idempotent: true });
    await eventually(() => isBusy(meter));
    await mesh.manager(RIGHTS.m2);
    const owned = Array.from({ length: 8 }, (_, i) => client.submit(String(i), { id: `chosen-${i}` }));
    assert.deepEqual(
      (await Promise.all(owned)).map((result) => result.json()),
      [1, 2, 3, 4, 5, 6, 7, 8],
    );
    proxy.reset({ refuse: true });
    mesh.held.open();
    assert.equal((await moved).json(), "hold");
    assert.equal((await client.submit("1")).json(), 2);
    assert.deepEqual(mesh.refused, []);
  });
}

test("permissions - an operator's commands work with its set, and a client's submit with a client's (nkeys)", async (t) => {
  const mesh = await StrictMesh.start(t, "nkeys");
  await mesh.manager(RIGHTS.m1);
  const [w1] = await Promise.all([mesh.worker(RIGHTS.w1), mesh.worker(RIGHTS.w2)]);
  const ops = (...argv: string[]) => mesh.poolmesh(RIGHTS.ops, ...argv);
  const client = await mesh.client();

  const canceled = client.submit('"hold"', { id: "held" }).catch((error: { reason: string }) => error.reason);
  await eventually(async () => (await ops("cancel", "adder", "held")).code === 0);
  assert.equal(await canceled, "canceled");
  // Commands hear heartbeats for 400 ms, which may be too short for a machine that does much else.
  const says = (text: string, ...argv: string[]) => eventually(async () => (await ops(...argv)).stdout.includes(text));
  await says("adder/w1  READY  0 of 5 slots busy", "resize", "w1", "5", "--pool", "adder");
  await says("adder/w2  PAUSED  0 of 2 slots busy", "pause", "w2", "--pool", "adder");
  await says("adder/w2  READY  0 of 2 slots busy", "resume", "w2", "--pool", "adder");
  await says('"w2"', "workers", "adder", "--json");
  assert.equal((await mesh.poolmesh(RIGHTS.shop, "submit", "adder", "41")).stdout, "42");
  await says("adder/w1", "drain", "w1", "--pool", "adder");
  await w1.closed;
  assert.deepEqual(mesh.refused, []);
});

/** Another pool's jobs, another worker's, what managers and clients hear, and all of it at once. */
const NOT_TO_BE_READ = [
  ...["pool.*.job", "pool.other.job", "pool.adder.job", "pool.adder.job.w2", "pool.adder.job.*", "pool.adder.submit"],
  ...["pool.adder.control.w2", "pool.adder.heartbeat.*", "$SRV.PING.poolmesh-manager.m1", "_INBOX.>", ">"],
  ...["$SRV.>", "$SRV.*", "$SRV.PING.>", "$SRV.PING.poolmesh-manager", "$SRV.PING.poolmesh-manager.>"],
  ...["_INBOX.manager.m1.>", "_INBOX.client.shop.>"],
];
const NOT_TO_BE_WRITTEN = [
  ...["pool.adder.heartbeat.w2", "pool.adder.job.w2", "pool.adder.cancel.job-0", "pool.adder.submit"],
  ...["pool.adder.manager.m1", "_INBOX.client.shop.1.1.x"],
];

test("permissions - who has a worker's credential forges none of six outcomes and reads no other pool and no job of another worker", async (t) => {
  const mesh = await StrictMesh.start(t, "users");
  const proxy = new TcpProxy(mesh.rights.broker.url);
  cleanUp(t, () => proxy.stop());
  await proxy.start();
  await mesh.manager(RIGHTS.m1, proxy.url);
  const worker = await mesh.worker(RIGHTS.w2, 6);
  const client = await mesh.client();
  const ids = Array.from({ length: 6 }, (_, i) => `job-${i}`);
  const outcomes = Promise.allSettled(ids.map((id) => client.submit('"hold"', { id })));
  await eventually(() => worker.busy === 6);

  const thief = await Thief.connect(t, mesh.rights, RIGHTS.w1);
  thief.subscribe(...NOT_TO_BE_READ);
  thief.publish(...NOT_TO_BE_WRITTEN);
  await eventually(() => thief.refused.length === NOT_TO_BE_READ.length + NOT_TO_BE_WRITTEN.length);
  assert.equal(thief.heard.length, 0);

  // It works for a moment, so that it learns what reply subjects look like, and lies when it is asked.
  thief.lieAbout(ids, "w2");
  thief.pretendToWork();
  const own = client.submit('"for the thief"', { timeoutMs: 5_000 }).catch((error: Error) => error);
  const { reply = "" } = await eventually(() =>
    thief.heard.find(({ subject }) => subject.startsWith("pool.adder.job")),
  );
  thief.forge(reply, ids, "w2");
  await thief.flush();
  assert.ok(thief.forged > 1_000);
  await eventually(() => thief.heard.some(({ subject, reply }) => subject.includes(".control") && reply));
  // After a reconnect the manager asks for outcomes that it may have missed.
  proxy.reset();
  await eventually(() => thief.heard.filter(({ subject }) => subject === "pool.adder.control").length > 0);
  await thief.flush();

  mesh.held.open();
  const texts = (await outcomes).map((each) => (each.status === "fulfilled" ? each.value.text() : String(each.reason)));
  assert.deepEqual(texts, Array(6).fill('"hold"'));
  await own;
});

for (const { version, binary } of await serversOfTests()) {
  test(`permissions - who has a worker's credential keeps no manager alive that is dead: its clients hear so at once (nats-server ${version})`, async (t) => {
    const mesh = await StrictMesh.start(t, "users", binary);
    const proxy = new TcpProxy(mesh.rights.broker.url);
    cleanUp(t, () => proxy.stop());
    await proxy.start();
    await mesh.manager(RIGHTS.m1, proxy.url);
    const worker = await mesh.worker(RIGHTS.w2, 1);
    const client = await mesh.client();
    const thief = await Thief.connect(t, mesh.rights, RIGHTS.w1);
    const pings = ["$SRV.>", "$SRV.PING.>", "$SRV.*", "$SRV.PING.poolmesh-manager", "$SRV.PING.poolmesh-manager.m1"];
    thief.poseAs("poolmesh-manager", "m1", ...pings, "$SRV.PING.poolmesh-manager.>", "$SRV.*.poolmesh-manager.m1");
    await thief.flush();
    const outcome = client.submit('"hold"', { timeoutMs: 60_000 }).then(
      () => "ok",
      (error: { reason: string }) => error.reason,
    );
    await eventually(() => worker.busy === 1);
    proxy.reset({ refuse: true });
    assert.equal(await within(outcome), "bus_unavailable");
    mesh.held.open();
  });
}

async function meterSees(meter: Meter, slots: number): Promise<void> {
  await eventually(async () => (await total(meter)).slots === slots, { what: `${slots} slots` });
}

async function isBusy(meter: Meter): Promise<boolean> {
  return (await total(meter)).busy === 1;
}

async function total(meter: Meter): Promise<{ slots?: number; busy?: number }> {
  const response = await fetch(`${meter.url}/poolmesh.v1.MeterService/GetCapacity`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  return ((await response.json()) as { total: { slots?: number; busy?: number } }).total;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
}
