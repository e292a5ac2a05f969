/**
 * One minor release of skew: every part of the release before works with every part of today's.
 *
 * The parts run in this process. Each release has its own copy of all modules; only the broker is shared.
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { Finding } from "../../../cli/doctor/finding.js";
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { ManagerService } from "../../../gen/poolmesh/v1/manager_pb.js";
import { MeterService } from "../../../gen/poolmesh/v1/meter_pb.js";
import { PoolError } from "../../../mesh/errors.js";
import { previousRelease } from "../../../scripts/previous-release.js";
import type { Job } from "../../../services/worker/worker.js";
import { startBroker, WHOLE_FILE } from "../../support/broker.js";
import { runInShell } from "../../support/docs/fake-shell.js";
import { bearControl } from "../../support/doors/control-token.js";
import { leakGuard } from "../../support/leak-guard.js";
import { type Release, releaseIn, thisRelease } from "../../support/programs/releases.js";
import { eventually, gate } from "../../support/wait.js";

leakGuard();

const previous = previousRelease();
const skip = "missing" in previous ? previous.missing : false;
const broker = await startBroker(WHOLE_FILE, { jetStream: true });
const today = thisRelease(broker.url);
const before = "folder" in previous ? await releaseIn(previous.folder, broker.url) : today;

/** Whose client, manager, meter and worker make up a mesh: every part of each release meets every part of the other. */
const MIXES: readonly (readonly [client: Release, manager: Release, meter: Release, worker: Release])[] = [
  [today, today, today, before],
  [today, today, before, today],
  [today, before, today, today],
  [before, today, today, today],
  [before, before, before, today],
  [before, today, before, before],
];

for (const [index, [client, manager, meter, worker]] of MIXES.entries()) {
  const title = `client of ${client.name}, manager of ${manager.name}, meter of ${meter.name}, worker of ${worker.name}`;
  test(`skew - jobs, errors, cancel, parked jobs, heartbeats and drain hold: ${title}`, { skip }, async (t) => {
    const mesh = await startMix(t, `skew-${index}`, { client, manager, meter, worker });
    await roundTrips(mesh);
    await failures(mesh);
    await canceled(mesh);
    await parked(mesh);
    await heartbeats(mesh);
    await drained(mesh);
  });
}

test("skew - stored jobs of either release are run by the other's manager and worker, and keep their outcomes", {
  skip,
}, async (t) => {
  // A manager with the lane takes seconds to stop, and waits most of them.
  await Promise.all([storedJobs(t, today, before), storedJobs(t, before, today)]);
});

test("skew - poolmesh workers and poolmesh doctor tell the versions of a mixed mesh", { skip }, async (t) => {
  await before.manager(t, { pools: ["told"] });
  for (const [index, release] of [today, before].entries()) await release.worker(t, workerOptions("told", `w${index}`));
  const env = { NATS_URL: broker.url };
  const { stdout } = await runInShell(["workers", "told"], env);
  for (const { version } of [today, before]) assert.match(stdout, new RegExp(` ${version} *$`, "m"));
  const doctor = await runInShell(["doctor", "--json"], env);
  const findings = JSON.parse(doctor.stdout) as Finding[];
  const { state, found } = findings.find(({ what }) => what === "poolmesh") ?? {};
  assert.deepEqual(
    [state, found],
    ["ok", `mixed versions: ${before.version} (1 manager, 1 worker), ${today.version} (1 worker)`],
  );
});

test("skew - a mesh that is upgraded and taken back while jobs run loses none; at most a manager that stops refuses them", {
  skip,
}, async (t) => {
  const pool = "rolling";
  const client = await before.client(t, pool);
  let [manager, worker] = [await before.manager(t), await before.worker(t, workerOptions(pool, "w0"))];
  await knows(client);
  const failed: unknown[] = [];
  let done = 0;
  let goesOn = true;
  const caller = async (): Promise<void> => {
    while (goesOn) {
      const error = await client.submit(JSON.stringify(done), { idempotent: true }).then(() => undefined, toError);
      // A manager that stops refuses what comes to it; the caller may submit it again.
      if (error?.reason === "draining" && !error.maybeExecuted) continue;
      if (error !== undefined) failed.push(error);
      done += 1;
    }
  };
  const callers = [caller(), caller(), caller()];
  for (const [step, release] of [today, before].entries()) {
    const nextManager = await release.manager(t);
    await manager.stop();
    manager = nextManager;
    await moreThan(() => done, 20);
    const nextWorker = await release.worker(t, workerOptions(pool, `w${step + 1}`));
    await worker.stop();
    worker = nextWorker;
    await moreThan(() => done, 20);
  }
  goesOn = false;
  await Promise.all(callers);
  assert.deepEqual(failed, []);
  await manager.stop();
});

async function storedJobs(t: TestContext, caller: Release, other: Release): Promise<void> {
  const pool = `stored-${caller.name}`;
  const client = await caller.client(t, pool);
  const manager = await other.manager(t, { durable: true, pools: [pool] });
  const worker = await other.worker(t, { pool, run: ({ payload }) => payload + 1 });
  const receipt = await client.enqueue(JSON.stringify(41), { id: "one" });
  assert.equal((await receipt.result({ timeoutMs: 10_000 })).json(), 42);
  await Promise.all([manager.stop(), worker.stop()]);
  const next = await caller.manager(t, { durable: true, pools: [pool] });
  const again = await client.enqueue(JSON.stringify(41), { id: "one" });
  assert.equal((await again.result({ timeoutMs: 10_000 })).json(), 42, "the kept outcome, without a worker");
  await next.stop();
}

/** A mesh of parts of several releases. */
interface Mix {
  readonly pool: string;
  readonly client: Awaited<ReturnType<Release["client"]>>;
  readonly workerId: string;
  readonly version: string;
  readonly calls: ReturnType<typeof managerCalls>;
  readonly view: ReturnType<typeof meterCalls>;
  /** The job that runs until it is let go, or aborted. */
  readonly held: { readonly started: () => number; readonly aborted: () => number; open(): void };
}

/** Payloads that mean something to the worker. */
const FAIL = -1;
const HOLD = -2;

async function startMix(
  t: TestContext,
  pool: string,
  parts: Readonly<Record<"client" | "manager" | "meter" | "worker", Release>>,
): Promise<Mix> {
  const held = gate();
  let [started, aborted] = [0, 0];
  const run = async ({ payload, signal }: Job<number>): Promise<number> => {
    if (payload === FAIL) throw Object.assign(new Error("no"), { code: "skew.no" });
    if (payload !== HOLD) return payload + 1;
    started += 1;
    signal.addEventListener("abort", () => (aborted += 1));
    await Promise.race([held.promise, new Promise((resolve) => signal.addEventListener("abort", resolve))]);
    return 0;
  };
  const [manager, meter] = [await parts.manager.manager(t, { pools: [pool] }), await parts.meter.meter(t)];
  await parts.worker.worker(t, { ...workerOptions(pool, "w"), graceMs: 5_000, run });
  const client = await parts.client.client(t, pool);
  await knows(client);
  return {
    pool,
    client,
    workerId: "w",
    version: parts.worker.version,
    calls: managerCalls(manager.url),
    view: meterCalls(meter.url),
    held: { started: () => started, aborted: () => aborted, open: () => held.open() },
  };
}

async function roundTrips({ client }: Mix): Promise<void> {
  const values: unknown[] = [];
  for await (const each of client.submitMany(Array.from({ length: 50 }, (_, n) => String(n)))) {
    values[each.index] = each.ok ? each.result.json() : each.error;
  }
  assert.deepEqual(
    values,
    Array.from({ length: 50 }, (_, n) => n + 1),
  );
}

async function failures({ client }: Mix): Promise<void> {
  const error = await client.submit(String(FAIL)).then(() => undefined, toError);
  assert.deepEqual([error?.reason, error?.jobCode], ["job_failed", "skew.no"]);
  assert.match(error?.message ?? "", /no/);
}

async function canceled({ client, held }: Mix): Promise<void> {
  const giveUp = new AbortController();
  const outcome = client.submit(String(HOLD), { signal: giveUp.signal }).then(() => undefined, toError);
  await eventually(() => held.started() === 1, { what: "the job runs" });
  giveUp.abort();
  assert.equal((await outcome)?.reason, "canceled");
  await eventually(() => held.aborted() === 1, { what: "the handler hears the cancel" });
}

/** A job without a slot waits, and has its turn when one is free. */
async function parked({ client, held, pool, view }: Mix): Promise<void> {
  const first = client.submit(String(HOLD));
  await eventually(() => held.started() === 2, { what: "the slot is busy" });
  const second = client.submit("1");
  await eventually(async () => (await view.getCapacity({ pool })).pools[0]?.parked === 1, {
    what: "one is parked",
  });
  held.open();
  assert.deepEqual([(await first).json(), (await second).json()], [0, 2]);
}

async function heartbeats({ calls, view, pool, workerId, version }: Mix): Promise<void> {
  const { workers } = await calls.listWorkers({ pool });
  const seen = await view.listWorkers({ pool });
  for (const list of [workers, seen.workers]) {
    assert.deepEqual(
      list.map(({ heartbeat }) => [heartbeat?.worker, heartbeat?.state, heartbeat?.slots]),
      [[workerId, WorkerState.READY, 1]],
    );
    assert.equal(list[0]?.heartbeat?.version, version);
  }
}

async function drained({ calls, view, pool, workerId }: Mix): Promise<void> {
  await calls.drainWorker({ selector: { pool, worker: workerId } });
  const state = async () => (await view.listWorkers({ pool })).workers[0]?.heartbeat?.state;
  await eventually(async () => [WorkerState.STOPPED, WorkerState.DRAINING, undefined].includes(await state()), {
    what: "the meter sees that the worker leaves",
  });
}

function workerOptions(pool: string, id: string) {
  return { pool, id, run: ({ payload }: Job<number>) => payload + 1 };
}

/** Waits until the pool is known: a submission before that ends as `unknown_pool`. */
async function knows(client: Mix["client"]): Promise<void> {
  await client.submit("0", { waitForPool: true, timeoutMs: 10_000 });
}

async function moreThan(count: () => number, more: number): Promise<void> {
  const from = count();
  await eventually(() => count() > from + more, { what: `${more} more jobs` });
}

function managerCalls(baseUrl: string) {
  return createClient(
    ManagerService,
    createConnectTransport({ baseUrl, httpVersion: "1.1", interceptors: [bearControl] }),
  );
}

function meterCalls(baseUrl: string) {
  return createClient(MeterService, createConnectTransport({ baseUrl, httpVersion: "1.1" }));
}

/** An error of either copy of the package. */
function toError(error: unknown): PoolError {
  assert.ok(error instanceof Error && error.name === PoolError.name, String(error));
  return error as PoolError;
}
