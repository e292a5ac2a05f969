/**
 * How fast `poolmesh map` is beside the library, in one run: jobs a second, and the ratio to `Client.submitMany`.
 *
 * `node scripts/build.js && node --import tsx scripts/measure/map-throughput.ts [--jobs 100000] [--slots 1,4,64,256] [--rounds 3] [--sources]`
 *
 * Broker, manager and worker are processes of their own, as `poolmesh up` starts
 * them; the handler adds one. The arms take turns within each round, and a figure
 * is the median. `map` reads stdin and writes to a pipe; its figure counts from
 * its first line of output to its last, and "whole" from the start of the process.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Broker } from "../../broker/broker.js";
import { Client, Manager } from "../../index.js";
import { startService, stopService } from "./started-service.js";

const { values } = parseArgs({
  options: {
    jobs: { type: "string", default: "100000" },
    slots: { type: "string", default: "1,4,64,256" },
    rounds: { type: "string", default: "3" },
    window: { type: "string", default: "256" },
    sources: { type: "boolean", default: false },
  },
});
const jobs = Number(values.jobs);
const rounds = Number(values.rounds);
const window = Number(values.window);
const ROOT = new URL("../..", import.meta.url).pathname;
const CLI = values.sources ? ["--import", "tsx", `${ROOT}cli/main.ts`] : [`${ROOT}dist/cli/main.js`];
const POOL = "adder";

const folder = mkdtempSync(join(tmpdir(), "map-throughput-"));
const handler = join(folder, "adder.mjs");
writeFileSync(handler, "export const run = (job) => job.payload + 1;");

const input = Buffer.from(Array.from({ length: jobs }, (_, i) => `${i + 1}\n`).join(""));

interface MapTimes {
  readonly streaming: number;
  readonly whole: number;
}

async function byMap(url: string): Promise<MapTimes> {
  const startedAt = performance.now();
  const args = [...CLI, "map", POOL, "--servers", url, "--window", String(window)];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  let firstAt = 0;
  let lines = 0;
  child.stdout.on("data", (chunk: Buffer) => {
    if (firstAt === 0) firstAt = performance.now();
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) lines += 1;
  });
  child.stdin.end(input);
  const code = await new Promise((resolve) => child.once("close", resolve));
  const endedAt = performance.now();
  if (code !== 0 || lines !== jobs) throw new Error(`map ended with ${code} after ${lines} lines`);
  return { streaming: rate(endedAt - firstAt), whole: rate(endedAt - startedAt) };
}

async function bySubmitMany(submitter: Client | Manager): Promise<number> {
  const payloads = Array.from({ length: jobs }, (_, i) => String(i + 1));
  const startedAt = performance.now();
  let ended = 0;
  for await (const outcome of submitter.submitMany(payloads, { window })) {
    if (!outcome.ok) throw outcome.error;
    ended += 1;
  }
  if (ended !== jobs) throw new Error(`${ended} outcomes`);
  return rate(performance.now() - startedAt);
}

function rate(tookMs: number): number {
  return (jobs * 1_000) / tookMs;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] as number;
}

function shown(perSecond: number): string {
  return Math.round(perSecond).toLocaleString("en").padStart(9);
}

async function measure(url: string, slots: number): Promise<void> {
  const worker = await startService(CLI, [
    "worker",
    "--pool",
    POOL,
    "--handler",
    handler,
    "--slots",
    String(slots),
    "--servers",
    url,
  ]);
  const client = await Client.connect({ pool: POOL, servers: url });
  const manager = await Manager.connect({ pool: POOL, servers: url });
  const found: Record<"client" | "embedded" | "streaming" | "whole", number[]> = {
    client: [],
    embedded: [],
    streaming: [],
    whole: [],
  };
  for (let round = 0; round <= rounds; round += 1) {
    const [client_, { streaming, whole }, embedded] = [
      await bySubmitMany(client),
      await byMap(url),
      await bySubmitMany(manager),
    ];
    // the first round warms up
    if (round === 0) continue;
    found.client.push(client_);
    found.streaming.push(streaming);
    found.whole.push(whole);
    found.embedded.push(embedded);
  }
  await client.close();
  await manager.close();
  await stopService(worker);
  const [plain, map, whole, embedded] = [found.client, found.streaming, found.whole, found.embedded].map(median) as [
    number,
    number,
    number,
    number,
  ];
  console.log(
    `${String(slots).padStart(6)} ${shown(plain)} ${shown(embedded)} ${shown(map)} ${shown(whole)}   ${(map / plain).toFixed(2)}`,
  );
}

const broker = new Broker({ port: "any" });
await broker.start();
const manager = await startService(CLI, ["manager", "--listen", "127.0.0.1:0", "--servers", broker.url]);
console.log(`${jobs} jobs, window ${window}, ${rounds} rounds; jobs a second`);
console.log(" slots    client  embedded       map map whole   map ÷ client");
try {
  for (const slots of values.slots.split(",").map(Number)) await measure(broker.url, slots);
} finally {
  await stopService(manager);
  await broker.stop();
  rmSync(folder, { recursive: true, force: true });
}
