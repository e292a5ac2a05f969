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
import { Bus } from "../../mesh/bus.js";
import type { PoolError } from "../../mesh/errors.js";
import type { SubmitOptions, Submitter } from "../../mesh/job.js";
import { Manager } from "../../services/manager/manager.js";
import { type Job, Worker } from "../../services/worker/worker.js";
import { startBroker } from "../support/broker.js";
import { count, leakGuard, leaks, subscriptionCount } from "../support/leak-guard.js";
import { startMesh } from "../support/mesh.js";
import { eventually } from "../support/wait.js";
import { descriptors } from "./resources.js";

leakGuard();

const JOBS = process.env.FAULTS === "full" ? 10_000 : 2_000;
const WINDOW = 50;
/** One in this many takes its worker with it. */
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
  await wait(60_000, undefined, { signal: job.signal });
  return kind;
}

/** Submits jobs of every kind and counts how they ended. */
async function mixedOutcomes(submitter: Submitter, lose: () => Promise<void>): Promise<Record<string, number>> {
  const ends: Record<string, number> = {};
  let next = 0;
  const one = async (kind: Kind): Promise<void> => {
    const abort = new AbortController();
    const options: SubmitOptions = { timeoutMs: kind === "deadline_exceeded" ? 40 : 60_000 };
    if (kind === "canceled") options.signal = abort.signal;
    const ended = submitter.submit(JSON.stringify(kind), options).then(
      () => "ok",
      (error: PoolError) => error.reason,
    );
    if (kind === "canceled") setImmediate(() => abort.abort());
    if (kind === "worker_lost") await lose();
    const end = await ended;
    ends[end] = (ends[end] ?? 0) + 1;
  };
  const lane = async (): Promise<void> => {
    for (let index = next++; index < JOBS; index = next++) await one(kindOf(index));
  };
  await Promise.all(Array.from({ length: WINDOW }, lane));
  return ends;
}

/** What a connection and this process hold. */
async function held(bus: Bus): Promise<Record<string, number>> {
  return { subscriptions: subscriptionCount(bus.nc), descriptors: await descriptors(process.pid) };
}

/** A worker that can be cut off, with all that it runs. */
class Victim {
  #worker: Worker | undefined;
  readonly #url: string;
  readonly #pool: string;
  #losing: Promise<void> | undefined;

  constructor(url: string, pool: string) {
    this.#url = url;
    this.#pool = pool;
  }

  async start(): Promise<void> {
    this.#worker = new Worker({ pool: this.#pool, slots: 20, run, graceMs: 0, bus: { servers: this.#url } });
    await this.#worker.start();
  }

  /** Ends without its last heartbeat being anything but a death to those who wait: jobs end as draining or lost. */
  async replace(): Promise<void> {
    this.#losing ??= (async () => {
      const old = this.#worker;
      await this.start();
      await old?.stop();
    })().finally(() => {
      this.#losing = undefined;
    });
    await this.#losing;
  }

  async stop(): Promise<void> {
    await this.#losing;
    await this.#worker?.stop();
  }
}

test(`leaks - after ${JOBS} mixed outcomes an embedded manager and its workers hold what they held before`, async (t) => {
  const broker = await startBroker(t, { jetStream: false });
  const bus = await Bus.connect({ servers: broker.url });
  t.after(() => bus.close());
  const manager = await Manager.connect("leaks", { bus });
  t.after(() => manager.close());
  const steady = new Worker({ pool: "leaks", slots: 20, run, graceMs: 0, bus: { servers: broker.url } });
  t.after(() => steady.stop());
  const victim = new Victim(broker.url, "leaks");
  t.after(() => victim.stop());
  await Promise.all([steady.start(), victim.start()]);
  await eventually(() => manager.capacity.slots === 40);
  await manager.submit('"ok"');
  const before = await held(bus);
  const handles = count();

  const ends = await mixedOutcomes(manager, () => victim.replace());

  assert.equal(Object.values(ends).reduce((sum, n) => sum + n, 0), JOBS);
  for (const kind of ["ok", "job_failed", "canceled", "deadline_exceeded"]) assert.ok((ends[kind] ?? 0) > 0, kind);
  await eventually(() => manager.capacity.busy === 0 && steady.busy === 0 && manager.capacity.parked === 0, {
    what: "no busy slot and nothing parked",
  });
  await eventually(async () => JSON.stringify(await held(bus)) === JSON.stringify(before), {
    what: `subscriptions and descriptors as before: ${JSON.stringify(before)}`,
  }).catch(async (error: Error) => {
    throw new Error(`${error.message}; now ${JSON.stringify(await held(bus))}`);
  });
  await eventually(() => leaks(handles).length === 0, { what: "timers and sockets as before" }).catch(() => {
    throw new Error(`left: ${leaks(handles).join(", ")}`);
  });
});

test(`leaks - after ${JOBS} mixed outcomes a light client and a manager service hold what they held before`, async (t) => {
  const mesh = await startMesh(t);
  const bus = await Bus.connect({ servers: mesh.natsUrl });
  t.after(() => bus.close());
  const client = await Client.connect("leaks", { bus });
  t.after(() => client.close());
  await mesh.addWorker({ pool: "leaks", slots: 20, run }, t);
  const victim = new Victim(mesh.natsUrl, "leaks");
  t.after(() => victim.stop());
  await victim.start();
  await mesh.untilCapacity("leaks", 40);
  await client.submit('"ok"');
  const before = await held(bus);
  const handles = count();

  const ends = await mixedOutcomes(client, () => victim.replace());

  assert.equal(Object.values(ends).reduce((sum, n) => sum + n, 0), JOBS);
  await mesh.untilCapacity("leaks", 40, 0);
  await eventually(async () => JSON.stringify(await held(bus)) === JSON.stringify(before), {
    what: `subscriptions and descriptors as before: ${JSON.stringify(before)}`,
  }).catch(async (error: Error) => {
    throw new Error(`${error.message}; now ${JSON.stringify(await held(bus))}`);
  });
  await eventually(() => leaks(handles).length === 0, { what: "timers and sockets as before" }).catch(() => {
    throw new Error(`left: ${leaks(handles).join(", ")}`);
  });
});
