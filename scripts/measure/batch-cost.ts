/**
 * What a batch costs its jobs: jobs a second of `enqueueMany` with each result waited for, and of `enqueueBatch` with the result of
 * its completion job, in turns. The ratio is the figure; jobs a second are those of the machine.
 *
 * `node --import tsx scripts/measure/batch-cost.ts [--jobs 2000] [--rounds 5]`. One process has manager, worker and client.
 */
import { parseArgs } from "node:util";
import { Client } from "../../client/client.js";
import { ManagerService } from "../../services/manager/service.js";
import { Worker } from "../../services/worker/worker.js";
import { cleanUpNow, ownOwner } from "../../test/faults/rig/owner.js";
import { startBroker } from "../../test/support/broker.js";
import { cleanUp } from "../../test/support/clean-up.js";
import { eventually } from "../../test/support/wait.js";

const { values } = parseArgs({
  options: { jobs: { type: "string", default: "2000" }, rounds: { type: "string", default: "5" } },
});
const jobs = Number(values.jobs);
const rounds = Number(values.rounds);
const POOL = "cost";
const WINDOW = 256;

function payloads(): string[] {
  return Array.from({ length: jobs }, (_, index) => String(index));
}

async function alone(client: Client): Promise<void> {
  const results: Promise<unknown>[] = [];
  for await (const one of client.enqueueMany(payloads(), { window: WINDOW })) {
    if (!one.ok) throw one.error;
    results.push(one.receipt.result());
  }
  await Promise.all(results);
}

async function together(client: Client): Promise<void> {
  const batch = await client.enqueueBatch(payloads(), { window: WINDOW, onComplete: { pool: POOL } });
  await batch.result();
}

const ARMS = { alone, together };

/** Jobs a second. */
async function timed(work: () => Promise<void>): Promise<number> {
  const begunAtMs = performance.now();
  await work();
  return (jobs * 1_000) / (performance.now() - begunAtMs);
}

function median(all: readonly number[]): number {
  return [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)] ?? Number.NaN;
}

async function main(): Promise<void> {
  const owner = ownOwner();
  try {
    const { url: servers } = await startBroker(owner, { jetStream: true });
    const listen = { host: "127.0.0.1", port: 0 };
    const service = new ManagerService({ bus: { servers }, listen, graceMs: 100, durable: true });
    cleanUp(owner, () => service.stop());
    await service.start();
    const worker = new Worker({ pool: POOL, slots: 64, servers, graceMs: 0, run: ({ payload }) => payload });
    cleanUp(owner, () => worker.stop());
    await worker.start();
    const client = await Client.connect({ pool: POOL, servers });
    cleanUp(owner, () => client.close());
    await eventually(() => service.pools?.durable?.isOpen(POOL) === true, { limitMs: 60_000 });
    const seen = { alone: [] as number[], together: [] as number[] };
    for (const arm of [alone, together]) await arm(client);
    for (let round = 0; round < rounds; round += 1) {
      const order = round % 2 === 0 ? (["alone", "together"] as const) : (["together", "alone"] as const);
      for (const arm of order) seen[arm].push(await timed(() => ARMS[arm](client)));
      const [one, other] = [seen.alone.at(-1) ?? 0, seen.together.at(-1) ?? 0];
      console.log(`${Math.round(one)} alone, ${Math.round(other)} in a batch, ${(other / one).toFixed(2)}`);
    }
    const ratios = seen.together.map((each, i) => each / (seen.alone[i] ?? Number.NaN));
    console.log(
      `medians of ${rounds} rounds of ${jobs} jobs: ${Math.round(median(seen.alone))} alone, ${Math.round(median(seen.together))} in a batch, ratio ${median(ratios).toFixed(2)}`,
    );
  } finally {
    await cleanUpNow(owner);
  }
}

await main();
