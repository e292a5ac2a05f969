/**
 * A power loss of the only broker: its streams come back as they were when they were last written to the disk, and
 * count on from there. So a sequence that had a job before may have another one after.
 */
import assert from "node:assert/strict";
import { cp, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "nats";
import type { Broker } from "../../../../broker/broker.js";
import { Client } from "../../../../client/client.js";
import type { Receipt } from "../../../../client/durable/receipt.js";
import { toPoolError } from "../../../../mesh/errors.js";
import { Worker } from "../../../../services/worker/worker.js";
import { standStill, startBroker } from "../../../support/broker.js";
import { cleanUp, type Owner } from "../../../support/clean-up.js";
import { startDurableManager } from "../../../support/durable-mesh.js";
import { leakGuard } from "../../../support/leak-guard.js";
import { eventually } from "../../../support/wait.js";

leakGuard();

const SLOTS = 4;

interface Site {
  readonly broker: Broker;
  readonly client: Client;
  /** Jobs that wait to be let go. */
  readonly running: Map<string, () => void>;
  /** Lets them go, and all that begin from now on. */
  readonly release: () => void;
  /** Each run, in order. */
  readonly runs: string[];
  /** What is on the disk now is what a power loss leaves. */
  readonly sync: () => Promise<void>;
  /** @param written folders of streams that are on the disk as they were last */
  readonly losePower: (written: readonly string[]) => Promise<void>;
}

async function startSite(t: Owner): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), "poolmesh-power-"));
  cleanUp(t, () => rm(folder, { recursive: true, force: true }));
  const [store, synced, crashed] = [join(folder, "store"), join(folder, "synced"), join(folder, "crashed")];
  const broker = await startBroker(t, { storeFolder: store });
  const bus = { servers: broker.url };
  await startDurableManager(t, broker.url, { pools: ["adder"] });
  const running = new Map<string, () => void>();
  const runs: string[] = [];
  const released = { all: false };
  const run = async ({ payload }: { payload: unknown }): Promise<string> => {
    const text = String(payload);
    runs.push(text);
    if (text.startsWith("slow") && !released.all) await new Promise<void>((resolve) => running.set(text, resolve));
    return `result of ${text}`;
  };
  const worker = new Worker({ pool: "adder", run, slots: SLOTS, graceMs: 100, ...bus });
  cleanUp(t, () => worker.stop());
  await worker.start();
  const client = await Client.connect({ pool: "adder", ...bus });
  cleanUp(t, () => client.close());
  return {
    broker,
    client,
    running,
    release: () => {
      released.all = true;
      for (const end of running.values()) end();
    },
    runs,
    sync: async () => {
      await rm(synced, { recursive: true, force: true });
      await standStill(broker);
      await cp(store, synced, { recursive: true });
      broker.signal("SIGCONT");
    },
    losePower: async (written) => {
      await broker.crash();
      await rename(store, crashed);
      await cp(synced, store, { recursive: true });
      for (const path of written) {
        const of = (root: string): string => join(root, "jetstream/$G/streams", path);
        await rm(of(store), { recursive: true, force: true });
        await cp(of(crashed), of(store), { recursive: true });
      }
      await broker.revive();
    },
  };
}

function enqueueAll(client: Client, payloads: readonly string[]): Promise<Receipt[]> {
  return Promise.all(payloads.map((text) => client.enqueue(JSON.stringify(text), { id: text.replace(" ", "-") })));
}

/** The result, or the reason of the error. */
async function endOf(receipt: Receipt): Promise<unknown> {
  try {
    return (await receipt.result({ timeoutMs: 60_000 })).json();
  } catch (thrown) {
    return toPoolError(thrown).reason;
  }
}

async function isBack(client: Client): Promise<true> {
  const isStored = (): Promise<boolean> =>
    client.enqueue('"back"').then(
      () => true,
      () => false,
    );
  return eventually(isStored, { what: "a job that is stored", limitMs: 30_000 });
}

const resultOf = (text: string): string => `result of ${text}`;
const LOST = Array.from({ length: 6 }, (_, i) => `slow ${i}`);
const NEW = Array.from({ length: 10 }, (_, i) => `new ${i}`);

/** Jobs that run and wait, and that the broker has lost since it was synced. */
async function startLost(
  t: Owner,
): Promise<Site & { readonly lost: readonly Receipt[]; readonly had: ReadonlySet<string> }> {
  const site = await startSite(t);
  const { client, running, sync } = site;
  assert.deepEqual(await Promise.all((await enqueueAll(client, ["a", "b"])).map(endOf)), ["a", "b"].map(resultOf));
  await sync();
  await Promise.all((await enqueueAll(client, ["c", "d", "e"])).map(endOf));
  const lost = await enqueueAll(client, LOST);
  await eventually(() => running.size === SLOTS, { what: "jobs that run" });
  return { ...site, lost, had: new Set(running.keys()) };
}

/** Sequences that are given again are those of other jobs: each of these has its own result, and runs once. */
async function runNew({ client, runs, lost }: Awaited<ReturnType<typeof startLost>>): Promise<void> {
  const fresh = await enqueueAll(client, NEW);
  const before = new Set(lost.map(({ sequence }) => sequence));
  assert.ok(
    fresh.some(({ sequence }) => before.has(sequence)),
    "a sequence was given again",
  );
  assert.deepEqual(await Promise.all(fresh.map(endOf)), NEW.map(resultOf));
  for (const text of NEW) assert.equal(runs.filter((run) => run === text).length, 1, `runs of ${text}`);
}

const WRITTEN: Record<string, readonly string[]> = {
  "all streams alike": [],
  "the jobs alone": ["pool-outcomes", "pool-claims", "pool-dead"],
  "the consumers of the jobs less than the jobs": ["pool-jobs-adder/obs"],
};

for (const [what, written] of Object.entries(WRITTEN)) {
  test(`power loss - a job that is stored after it is not taken for a lost one that had its sequence: it hit ${what}`, async (t) => {
    const site = await startLost(t);
    const { client, release, runs, lost, had } = site;
    const heard = Promise.all(lost.map(endOf));
    await site.losePower(written);
    await isBack(client);
    assert.deepEqual(new Set(await heard), new Set(["not_found"]), "who waits for what is lost hears it");
    const ended = runNew(site);
    release();
    await ended;
    const begun = runs.filter((text) => text.startsWith("slow"));
    assert.deepEqual([begun.length, new Set(begun)], [SLOTS, had], "what no worker had does not begin");
    assert.deepEqual(new Set(await Promise.all(lost.map(endOf))), new Set(["not_found"]), "they are lost for good");
  });
}

test("power loss - lost jobs that end while the broker comes back take nothing from those that are stored then", async (t) => {
  const site = await startLost(t);
  await site.losePower([]);
  await isBack(site.client);
  site.release();
  await runNew(site);
});

test("power loss - an id that is enqueued again while its lost job runs has the result of its own payload", async (t) => {
  const { client, release, lost, losePower } = await startLost(t);
  await losePower([]);
  await isBack(client);
  assert.equal(await endOf(lost[0] as Receipt), "not_found");
  const again = await client.enqueue('"other"', { id: "slow-0", idempotent: false });
  assert.deepEqual([again.id, again.duplicate], ["slow-0", false]);
  const end = endOf(again);
  release();
  assert.equal(await end, resultOf("other"));
});

test("power loss - a claim that has the sequence of a lost one stays when the job of the lost one ends", async (t) => {
  const { client, running, release, sync, losePower, broker } = await startSite(t);
  const once = (text: string): Promise<Receipt> => client.enqueue(JSON.stringify(text), { idempotent: false });
  await endOf(await once("a"));
  await sync();
  await once("slow before");
  await eventually(() => running.has("slow before"), { what: "the lost job to run" });
  await losePower(["pool-jobs-adder"]);
  await isBack(client);
  const after = await once("slow after");
  await eventually(() => running.has("slow after"), { what: "the new job to run" });
  const nc = await connect({ servers: broker.url });
  cleanUp(t, () => nc.close());
  const { streams } = await jetstreamManager(nc);
  const jobs = async (): Promise<number> => (await streams.info("pool-jobs-adder")).state.messages;
  // The claim of the first job may be there again: it was deleted a moment before the disk had it.
  const subject = `pool.adder.claim.${after.id}`;
  const isClaimed = async (): Promise<boolean> =>
    subject in ((await streams.info("pool-claims", { subjects_filter: subject })).state.subjects ?? {});
  assert.ok(await isClaimed());
  running.get("slow before")?.();
  // Its outcome is stored and its claim deleted, in this order, before a job that is enqueued now has ended.
  await eventually(async () => (await jobs()) === 1, { what: "the end of it" });
  await endOf(await once("another"));
  assert.ok(await isClaimed());
  release();
  assert.equal(await endOf(after), resultOf("slow after"));
  await eventually(async () => !(await isClaimed()), { what: "its own claim to be deleted" });
});

test("a stream that is deleted and made anew - a job that is stored in it is not taken for one that had its sequence", async (t) => {
  const site = await startLost(t);
  const nc = await connect({ servers: site.broker.url });
  cleanUp(t, () => nc.close());
  const { streams } = await jetstreamManager(nc);
  await streams.delete("pool-jobs-adder");
  await isBack(site.client);
  site.release();
  await runNew(site);
});
