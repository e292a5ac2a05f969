/**
 * Nothing is left after thousands of outcomes of every kind: success, failure,
 * cancel, deadline, lost.
 *
 * FAULTS=full runs 10,000, else 2,000.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { Client } from "../../client/client.js";
import type { PoolError } from "../../mesh/errors.js";
import type { SubmitOptions, Submitter } from "../../mesh/job/job.js";
import type { Bus } from "../../mesh/link/bus.js";
import { Manager } from "../../services/manager/manager.js";
import { type Job, Worker } from "../../services/worker/worker.js";
import { connectBus, startBroker } from "../support/broker.js";
import { cleanUp, type Owner } from "../support/clean-up.js";
import { count, leakGuard, leaks, subscriptionCount } from "../support/leak-guard.js";
import { startMesh } from "../support/mesh.js";
import { TcpProxy } from "../support/proxy/tcp-proxy.js";
import { eventually } from "../support/wait.js";
import { descriptors } from "./rig/resources.js";

leakGuard();

const JOBS = process.env.FAULTS === "full" ? 10_000 : 2_000;
const WINDOW = 50;
const POOL = "leaks";
const SLOTS = 20;
/** One in this many cuts a worker off. */
const LOST_EVERY = 500;

type Kind = "ok" | "job_failed" | "canceled" | "deadline_exceeded" | "worker_lost";

function kindOf(index: number): Kind {
  if (index % LOST_EVERY === LOST_EVERY - 1) return "worker_lost";
  return (["ok", "ok", "job_failed", "canceled", "deadline_exceeded"] as const)[index % 5] ?? "ok";
}

async function run(job: Job): Promise<string> {
  const kind = job.payload as Kind;
  if (kind === "job_failed") throw new Error("as asked");
  if (kind === "ok") return kind;
  if (kind === "worker_lost") job.progress(job.worker);
  await wait(60_000, undefined, { signal: job.signal });
  return kind;
}

/** Submits jobs of every kind and counts how they ended. */
async function mixedOutcomes(submitter: Submitter, victim: Victim): Promise<Record<string, number>> {
  const ends: Record<string, number> = {};
  let next = 0;
  const one = async (kind: Kind, options: SubmitOptions = {}): Promise<void> => {
    const end = await submitter.submit(JSON.stringify(kind), { timeoutMs: 60_000, ...options }).then(
      () => "ok",
      (error: PoolError) => error.reason,
    );
    ends[end] = (ends[end] ?? 0) + 1;
  };
  const lane = async (): Promise<void> => {
    for (let index = next++; index < JOBS; index = next++) {
      const kind = kindOf(index);
      if (kind === "canceled") {
        const abort = new AbortController();
        setImmediate(() => abort.abort());
        await one(kind, { signal: abort.signal });
      } else if (kind === "worker_lost") {
        // More than the other worker has slots for, so some are at the victim; those that are not end at their deadline.
        await victim.cutOff((onProgress) => {
          const options: SubmitOptions = { timeoutMs: 5_000, priority: "high", onProgress };
          return Promise.all(Array.from({ length: SLOTS + 5 }, () => one(kind, options)));
        });
      } else await one(kind, kind === "deadline_exceeded" ? { timeoutMs: 40 } : {});
    }
  };
  await Promise.all(Array.from({ length: WINDOW }, lane));
  return ends;
}

/** What a connection and this process hold. */
async function held(bus: Bus): Promise<Record<string, number>> {
  return { subscriptions: subscriptionCount(bus.nc), descriptors: await descriptors(process.pid) };
}

/** A worker whose link can be cut, with all that it runs. */
class Victim {
  readonly #proxy: TcpProxy;
  readonly #worker: Worker;
  #cutting: Promise<unknown> = Promise.resolve();

  static async start(t: Owner, url: string): Promise<Victim> {
    const proxy = new TcpProxy(url);
    cleanUp(t, () => proxy.stop());
    await proxy.start();
    const worker = new Worker({ pool: POOL, slots: SLOTS, run, graceMs: 0, servers: proxy.url });
    cleanUp(t, () => worker.stop());
    await worker.start();
    return new Victim(proxy, worker);
  }

  private constructor(proxy: TcpProxy, worker: Worker) {
    this.#proxy = proxy;
    this.#worker = worker;
  }

  /** Lets `work` begin, cuts the link until it has ended, and waits until this worker is whole again. */
  cutOff(work: (onProgress: (payload: Uint8Array) => void) => Promise<unknown>): Promise<unknown> {
    this.#cutting = this.#cutting.then(async () => {
      let here = 0;
      const ended = work((payload) => {
        if (Buffer.from(payload).toString() === JSON.stringify(this.#worker.id)) here += 1;
      });
      await eventually(() => here > 2, { limitMs: 4_000, what: "work at the victim" }).catch(() => undefined);
      this.#proxy.reset({ refuse: true });
      await ended;
      this.#proxy.heal();
      await eventually(() => this.#worker.busy < 2, { limitMs: 60_000, what: "the victim to be idle" });
    });
    return this.#cutting;
  }
}

/** Both are as before, or it throws with what is not. */
async function asBefore(bus: Bus, before: Record<string, number>, handles: ReadonlyMap<string, number>): Promise<void> {
  let now = before;
  const same = async (): Promise<boolean> => {
    now = await held(bus);
    return Object.entries(before).every(([name, value]) => (now[name] ?? 0) <= value) && leaks(handles).length === 0;
  };
  await eventually(same).catch(() => {
    throw new Error(`before ${JSON.stringify(before)}, now ${JSON.stringify(now)}; ${leaks(handles).join(", ")}`);
  });
}

function assertAll(ends: Record<string, number>): void {
  for (const kind of ["ok", "job_failed", "canceled", "deadline_exceeded", "worker_lost"]) {
    assert.ok((ends[kind] ?? 0) > 0, `${kind} among ${JSON.stringify(ends)}`);
  }
}

test(`leaks - after ${JOBS} mixed outcomes an embedded manager and its workers hold what they held before`, async (t) => {
  const broker = await startBroker(t, { jetStream: false });
  const bus = await connectBus(t, broker);
  const manager = await Manager.connect({ pool: POOL, connection: bus, graceMs: 0 });
  cleanUp(t, () => manager.close());
  const steady = new Worker({ pool: POOL, slots: SLOTS, run, graceMs: 0, servers: broker.url });
  cleanUp(t, () => steady.stop());
  await steady.start();
  const victim = await Victim.start(t, broker.url);
  await eventually(() => manager.capacity.slots === 2 * SLOTS);
  await manager.submit('"ok"');
  const [before, handles] = [await held(bus), count()];

  assertAll(await mixedOutcomes(manager, victim));

  const rest = () => manager.capacity.busy === 0 && manager.capacity.parked === 0 && manager.capacity.workers === 2;
  await eventually(rest, { what: "no busy slot and nothing parked" });
  await asBefore(bus, before, handles);
});

test(`leaks - after ${JOBS} mixed outcomes a light client and a manager service hold what they held before`, async (t) => {
  const mesh = await startMesh(t);
  const bus = await connectBus(t, mesh.broker);
  const client = await Client.connect({ pool: POOL, connection: bus });
  cleanUp(t, () => client.close());
  await mesh.addWorker({ pool: POOL, slots: SLOTS, run }, t);
  const victim = await Victim.start(t, mesh.natsUrl);
  await mesh.untilCapacity(POOL, 2 * SLOTS);
  await client.submit('"ok"');
  const [before, handles] = [await held(bus), count()];

  assertAll(await mixedOutcomes(client, victim));

  await mesh.untilCapacity(POOL, 2 * SLOTS, 0);
  await asBefore(bus, before, handles);
});
