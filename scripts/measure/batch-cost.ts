/**
 * What a batch costs its jobs: jobs a second of `enqueueMany` with each result waited for, without and with ids of the caller's, and
 * of `enqueueBatch` with the result of its completion job, in turns. The ratio is the figure; jobs a second are those of the machine.
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

async function alone(client: Client, ids?: (index: number) => string): Promise<void> {
  const results: Promise<unknown>[] = [];
  for await (const one of client.enqueueMany(payloads(), { window: WINDOW, ...(ids === undefined ? {} : { ids }) })) {
    if (!one.ok) throw one.error;
    results.push(one.receipt.result());
  }
  await Promise.all(results);
}

async function together(client: Client): Promise<void> {
  const batch = await client.enqueueBatch(payloads(), { window: WINDOW, onComplete: { pool: POOL } });
  await batch.result();
}

let runs = 0;

/** With ids that the caller chose, as those of a batch are. */
async function named(client: Client): Promise<void> {
  const run = `run-${runs++}`;
  await alone(client, (index) => `${run}-${index}`);
}

const ARMS = { alone: (client: Client) => alone(client), named, together };
type Arm = keyof typeof ARMS;
const ORDER: readonly Arm[] = ["alone", "named", "together"];

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
    const seen: Record<Arm, number[]> = { alone: [], named: [], together: [] };
    for (const arm of ORDER) await ARMS[arm](client);
    for (let round = 0; round < rounds; round += 1) {
      const order = round % 2 === 0 ? ORDER : [...ORDER].reverse();
      for (const arm of order) seen[arm].push(await timed(() => ARMS[arm](client)));
      console.log(ORDER.map((arm) => `${arm} ${Math.round(seen[arm].at(-1) ?? 0)}`).join(", "));
    }
    for (const arm of ORDER) {
      const ratios = seen[arm].map((each, i) => each / (seen.alone[i] ?? Number.NaN));
      console.log(
        `${arm}: median ${Math.round(median(seen[arm]))} jobs a second, ${median(ratios).toFixed(2)} of alone`,
      );
    }
  } finally {
    await cleanUpNow(owner);
  }
}

await main();
