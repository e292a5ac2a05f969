/** Permissions that are missing, or are taken away while the mesh runs: nobody learns of it from a deadline. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { test } from "node:test";
import type { Broker } from "../../../broker/broker.js";
import type { Rights } from "../../../cli/rights/right.js";
import { rightsOf } from "../../../cli/rights/table.js";
import { Client } from "../../../client/client.js";
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { ManagerService } from "../../../services/manager/service.js";
import { Worker } from "../../../services/worker/worker.js";
import { connectBus, startBroker } from "../../support/broker.js";
import { cleanUp, type Owner } from "../../support/clean-up.js";
import { passwordOptions, usersConfig } from "../../support/doors/rights-broker.js";
import { leakGuard } from "../../support/leak-guard.js";
import { readableLog } from "../../support/log-lines.js";
import { startMesh } from "../../support/mesh.js";
import { eventually, gate } from "../../support/wait.js";

leakGuard();

const CLIENT = rightsOf({ role: "client", pools: ["adder"], name: "shop" });
const WORKER = rightsOf({ role: "worker", pools: ["adder"], name: "w1" });
const MANAGER = rightsOf({ role: "manager", name: "m1" });
const RESULTS = "_INBOX.manager.>";

/** A broker whose users' rights change while it runs. */
class ChangingBroker {
  readonly broker: Broker;
  readonly #file: string;

  static async start(t: Owner): Promise<ChangingBroker> {
    const folder = await mkdtemp(join(tmpdir(), "poolmesh-rights-"));
    cleanUp(t, () => rm(folder, { recursive: true }));
    const file = join(folder, "users.conf");
    await writeFile(file, usersConfig([CLIENT, WORKER, MANAGER]));
    // The server takes the name as relative to its own configuration, whose folder is beside this one.
    const extraConfig = `include "../${basename(folder)}/users.conf"`;
    return new ChangingBroker(await startBroker(t, { extraConfig }), file);
  }

  constructor(broker: Broker, file: string) {
    this.broker = broker;
    this.#file = file;
  }

  bus(rights: Rights) {
    return passwordOptions(this.broker.url, rights);
  }

  /** Takes subjects from a role, or gives back all of them. */
  async without(role?: Rights, operation?: "publish" | "subscribe", ...subjects: string[]): Promise<void> {
    const all = [CLIENT, WORKER, MANAGER].map((rights) => {
      if (rights !== role || operation === undefined) return rights;
      // An empty list would allow everything.
      const nothing = { subject: "nothing", why: "" };
      return {
        ...rights,
        [operation]: [nothing, ...rights[operation].filter(({ subject }) => !subjects.includes(subject))],
      };
    });
    await writeFile(this.#file, usersConfig(all));
    this.broker.signal("SIGHUP");
  }
}

async function startAll(t: Owner) {
  const mesh = await ChangingBroker.start(t);
  const held = gate();
  const runs = new Map<unknown, number>();
  const { log, named } = readableLog();
  const manager = new ManagerService({
    id: "m1",
    bus: mesh.bus(MANAGER),
    listen: { host: "127.0.0.1", port: 0 },
    graceMs: 0,
  });
  cleanUp(t, () => manager.stop());
  await manager.start();
  const worker = new Worker({
    pool: "adder",
    id: "w1",
    slots: 2,
    graceMs: 0,
    log,
    ...mesh.bus(WORKER),
    run: async ({ payload }: { payload: unknown }) => {
      runs.set(payload, (runs.get(payload) ?? 0) + 1);
      if (payload === "hold") await held.promise;
      return payload;
    },
  });
  cleanUp(t, () => worker.stop());
  await worker.start();
  const client = await Client.connect("adder", mesh.bus(CLIENT));
  cleanUp(t, () => client.close());
  assert.equal((await client.submit("1")).json(), 1);
  return { mesh, held, manager, worker, client, named, runs };
}

interface Failure {
  readonly reason: string;
  readonly message: string;
  readonly maybeExecuted: boolean;
}

function failure(job: Promise<unknown>): Promise<Failure> {
  return job.then(
    () => assert.fail("it should have failed"),
    (error: Failure) => error,
  );
}

test("lost permissions - a worker that may not publish results any more is not READY, names the permission, its callers hear it at once, and nothing runs twice", async (t) => {
  const { mesh, held, worker, client, named, runs } = await startAll(t);
  const running = failure(client.submit('"hold"', { timeoutMs: 60_000 }));
  await eventually(() => worker.busy === 1);
  await mesh.without(WORKER, "publish", RESULTS);
  let next = 100;
  await eventually(() =>
    client.submit(String(next++)).then(
      () => false,
      ({ reason }: Failure) => reason === "worker_lost",
    ),
  );
  const { reason, message, maybeExecuted } = await running;
  assert.deepEqual([reason, maybeExecuted], ["worker_lost", true]);
  assert.match(message, /^worker w1 lost its permission to answer \(publish _INBOX\.manager\.m1\.\w+\.>\)/);
  held.open();
  assert.equal(worker.workerState, WorkerState.PAUSED);
  const [line] = named("the broker refuses what this worker needs: it takes no jobs");
  assert.match(String(line?.missing), /^publish _INBOX\.manager\.m1\.\w+\.>$/);

  const impatient = await failure(client.submit("2", { wait: false }));
  assert.equal(impatient.reason, "no_workers");
  assert.match(impatient.message, /the broker refuses worker w1: publish _INBOX\.manager\.m1/);
  const late = await failure(client.submit("2", { timeoutMs: 300 }));
  assert.match(late.message, /no slot came free before the deadline; the broker refuses worker w1: publish _INBOX/);
  assert.equal(worker.workerState, WorkerState.PAUSED);

  await mesh.without();
  assert.equal((await client.submit("3", { timeoutMs: 20_000 })).json(), 3);
  assert.equal(worker.workerState, WorkerState.READY);
  assert.deepEqual(
    [...runs].filter(([, count]) => count > 1),
    [],
  );
});

test("lost permissions - a worker that may not hear what it must is not READY until it may again", async (t) => {
  const { mesh, worker, client, named } = await startAll(t);
  const subjects = ["pool.adder.job", "pool.adder.job.w1", "pool.adder.cancel.*", "pool.adder.control.w1"];
  await mesh.without(WORKER, "subscribe", ...subjects);
  const missing = () =>
    named("the broker refuses what this worker needs: it takes no jobs").map((line) => line.missing);
  await eventually(() => missing().length === subjects.length);
  assert.deepEqual(missing().sort(), subjects.map((subject) => `subscribe ${subject}`).sort());
  assert.equal(worker.workerState, WorkerState.PAUSED);
  // Its manager knows by the worker's next heartbeat.
  await eventually(async () => {
    const { message } = await failure(client.submit("2", { timeoutMs: 200 }));
    for (const subject of subjects) assert.ok(message.includes(`subscribe ${subject}`), message);
    return true;
  });
  await mesh.without();
  await eventually(() => worker.workerState === WorkerState.READY);
  assert.equal((await client.submit("3")).json(), 3);
});

test("lost permissions - a worker that may not send heartbeats says so in its log and takes no jobs", async (t) => {
  const { mesh, worker, named } = await startAll(t);
  await mesh.without(WORKER, "publish", "pool.adder.heartbeat.w1");
  await eventually(() => worker.workerState === WorkerState.PAUSED);
  const [line] = named("the broker refuses what this worker needs: it takes no jobs");
  assert.equal(line?.missing, "publish pool.adder.heartbeat.w1");
  await mesh.without();
  await eventually(() => worker.workerState === WorkerState.READY);
});

test("lost permissions - a client that may not submit, or may not hear answers, fails its jobs at once and works again when it may", async (t) => {
  const { mesh, client } = await startAll(t);
  const denied = (pattern: RegExp) => async (): Promise<boolean> => {
    const error = await client.submit("2").then(
      () => undefined,
      (failed: Failure) => failed,
    );
    return error?.reason === "permission_denied" && pattern.test(error.message);
  };
  const works = async (): Promise<boolean> => (await client.submit("2").catch(() => undefined)) !== undefined;
  await mesh.without(CLIENT, "publish", "pool.adder.submit");
  await eventually(denied(/^the broker refuses: publish pool\.adder\.submit$/));
  await mesh.without();
  await eventually(works);
  await mesh.without(CLIENT, "subscribe", "_INBOX.client.shop.>");
  await eventually(denied(/^the broker refuses: subscribe _INBOX\.client\.shop\./));
  await mesh.without();
  await eventually(works);
});

test("lost permissions - a new client that may not answer a manager's question for its clock hears that, and not its deadline", async (t) => {
  const { mesh, manager } = await startAll(t);
  await mesh.without(CLIENT, "publish", "pool.adder.submit.*");
  const refused = async (): Promise<boolean> => {
    const client = await Client.connect("adder", mesh.bus(CLIENT));
    const error = await client.submit("2").catch((failed: Failure) => failed);
    await client.close();
    return "reason" in error && error.reason === "permission_denied" && error.message.endsWith(`publish ${subject}`);
  };
  const subject = `pool.adder.submit.${manager.id}`;
  await eventually(refused);
  await mesh.without();
  await eventually(async () => !(await refused()));
});

test("lost permissions - a manager that may not send jobs, or may not hear submissions, is not ready, and callers hear it at once", async (t) => {
  const { mesh, manager, client } = await startAll(t);
  const readiness = async (): Promise<string> => (await fetch(`${manager.url}/readyz`)).text();
  await mesh.without(MANAGER, "publish", "pool.*.job", "pool.*.job.*");
  const { reason, message } = await eventually(() =>
    client.submit("2").then(
      () => undefined,
      (error: Failure) => error,
    ),
  );
  assert.equal(reason, "permission_denied");
  assert.match(message, /^the broker refuses this manager: publish pool\.adder\.job/);
  assert.match(await readiness(), /the broker refuses: publish pool\.adder\.job/);
  await mesh.without(MANAGER, "subscribe", "pool.*.submit");
  await eventually(async () => (await readiness()).includes("subscribe pool.*.submit"));
  await mesh.without();
  await eventually(async () => (await client.submit("3", { timeoutMs: 1_000 }).catch(() => undefined))?.json() === 3);
});

test("dropped replies - a message whose reply subject is no inbox is a line and a count, at a manager and at a worker", async (t) => {
  const { log, named } = readableLog();
  const mesh = await startMesh(t, { manager: { log } });
  const { log: workersLog, named: ofWorker } = readableLog();
  await mesh.addWorker({ pool: "adder", id: "w1", run: () => 1, bus: { log: workersLog } });
  const bus = await connectBus(t, mesh.broker);
  for (const subject of ["pool.adder.submit", "pool.adder.job.w1"]) {
    for (let i = 0; i < 3; i += 1) bus.publish(subject, undefined, { reply: "pool.adder.heartbeat.w2" });
  }
  const line = "dropped: the reply subject is no inbox that is answered";
  await eventually(() => named(line).length === 1 && ofWorker(line).length === 1);
  assert.equal(named(line)[0]?.reply, "pool.adder.heartbeat.w2");
  await eventually(async () => {
    const metrics = await (await fetch(`${mesh.manager.url}/metrics`)).text();
    return /^poolmesh_manager_dropped_replies_total 3$/m.test(metrics);
  });
  const stats = await bus.nc.request("$SRV.STATS.poolmesh-worker.w1", undefined, { timeout: 10_000 });
  const { endpoints } = stats.json<{ endpoints: { data: { dropped_replies: number } }[] }>();
  assert.equal(endpoints[0]?.data.dropped_replies, 3);
});
