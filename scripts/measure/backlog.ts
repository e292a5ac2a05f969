/**
 * What it costs to look up a backlog that was stored before its manager started: how long it takes to drain, and the
 * processor time of the manager and the broker for each job.
 *
 * `node --import tsx scripts/measure/backlog.ts [--jobs 12000] [--rounds 3] [--once]`, after `node scripts/build.js`.
 *
 * Three copies of dist/: `all` looks every job of the backlog up, `first` as many as it is built to, `none` no job. Each
 * drains a backlog of its own in each round, in an order that changes; one broker and one worker serve all. What is
 * printed are medians, and ratios to `none` within a round. `--once`: jobs that may run once, which all but `none` look up.
 */
import { cp, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Broker } from "../../broker/broker.js";
import { Client } from "../../client/client.js";
import { DurableNames } from "../../mesh/durable/names.js";
import { LaneStore } from "../../mesh/durable/store.js";
import { Bus } from "../../mesh/link/bus.js";
import { packageRoot } from "../../mesh/process/identity.js";
import { startService, stopService } from "./started-service.js";

const { values } = parseArgs({
  options: {
    jobs: { type: "string", default: "12000" },
    rounds: { type: "string", default: "3" },
    once: { type: "boolean", default: false },
  },
});
const jobs = Number(values.jobs);
const rounds = Number(values.rounds);
const POOL = "backlog";
const POLL_MS = 20;
const TICKS_PER_SECOND = 100;
const ARMS = ["all", "first", "none"] as const;
type Arm = (typeof ARMS)[number];
const FILE = "services/manager/durable/takeover/first-deliveries.js";
/** What stands in the place of which text of {@link FILE}. */
const CHANGES: Readonly<Record<Arm, readonly (readonly [RegExp, string])[]>> = {
  all: [[/(?<=MOST_FORGOTTEN = )[\d_]+/, "Number.POSITIVE_INFINITY"]],
  first: [],
  none: [[/(?<=mayBeRepeat\([^)]*\) \{)/, "return false;"]],
};

interface Drain {
  readonly seconds: number;
  /** Microseconds of processor time a job. */
  readonly manager: number;
  readonly broker: number;
}

const root = packageRoot();
const folder = join(root, ".cache", "measure-backlog");

async function makeCopy(arm: Arm): Promise<void> {
  const copy = join(folder, arm);
  await cp(join(root, "dist"), join(copy, "dist"), { recursive: true });
  await cp(join(root, "package.json"), join(copy, "package.json"));
  await symlink(join(root, "node_modules"), join(copy, "node_modules"));
  const path = join(copy, "dist", FILE);
  let text = await readFile(path, "utf8");
  for (const [what, by] of CHANGES[arm]) {
    if (!what.test(text)) throw new Error(`${FILE} does not have ${what}`);
    text = text.replace(what, by);
  }
  await writeFile(path, text);
}

/** Starts a command of one copy at the broker. */
function startOf(copy: Arm, args: readonly string[], url: string): ReturnType<typeof startService> {
  return startService([join(folder, copy, "dist", "cli", "main.js")], [...args, "--servers", url]);
}

/** Processor time of a process until now, in microseconds. */
async function processorTime(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1e6) / TICKS_PER_SECOND;
}

async function drain(arm: Arm, broker: Broker, client: Client, store: LaneStore): Promise<Drain> {
  const stream = new DurableNames().jobsStream(POOL);
  const live = async (): Promise<number> => (await store.streamInfo(stream))?.state.messages ?? 0;
  const payloads = Array.from({ length: jobs }, (_, i) => String(i));
  for await (const one of client.enqueueMany(payloads, { window: 512, idempotent: !values.once })) {
    if (!one.ok) throw one.error;
  }
  const before = await processorTime(broker.pid);
  const manager = await startOf(arm, ["manager", "--durable", "--pools", POOL, "--listen", "127.0.0.1:0"], broker.url);
  // Its start, which all arms have, does not count.
  const [beganAt, start] = [performance.now(), await processorTime(manager.pid as number)];
  for (let left = jobs; left > 0; left = await live()) await delay(POLL_MS);
  const seconds = (performance.now() - beganAt) / 1_000;
  const found = {
    seconds,
    manager: ((await processorTime(manager.pid as number)) - start) / jobs,
    broker: ((await processorTime(broker.pid)) - before) / jobs,
  };
  await stopService(manager);
  return found;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] as number;
}

await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
for (const arm of ARMS) await makeCopy(arm);
const handler = join(folder, "handler.mjs");
await writeFile(handler, "export const run = (job) => job.payload;");
const broker = new Broker({ port: "any" });
await broker.start();
const workerArgs = ["worker", "--pool", POOL, "--handler", handler, "--slots", "64"];
const worker = await startOf("first", workerArgs, broker.url);
const bus = await Bus.connect({ servers: broker.url });
const client = await Client.connect({ pool: POOL, servers: broker.url });
const found: Record<Arm, Drain[]> = { all: [], first: [], none: [] };
try {
  const first = await startOf(
    "first",
    ["manager", "--durable", "--pools", POOL, "--listen", "127.0.0.1:0"],
    broker.url,
  );
  await (await client.enqueue("1")).result({ timeoutMs: 30_000 });
  await stopService(first);
  for (let round = 0; round < rounds; round += 1) {
    const order = [...ARMS.slice(round % ARMS.length), ...ARMS.slice(0, round % ARMS.length)];
    for (const arm of order) found[arm].push(await drain(arm, broker, client, new LaneStore(bus)));
    const last = (arm: Arm): string => (found[arm].at(-1)?.seconds ?? 0).toFixed(1);
    console.log(`round ${round + 1}: ${ARMS.map((arm) => `${arm} ${last(arm)} s`).join(", ")}`);
  }
} finally {
  await client.close();
  await bus.close();
  await stopService(worker);
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
}
console.log(
  `${jobs} jobs${values.once ? " that may run once" : ""}, ${rounds} rounds; medians, and ÷ none in the same round`,
);
for (const arm of ARMS) {
  const part = (name: keyof Drain): string => {
    const ratio = median(found[arm].map((each, i) => each[name] / (found.none[i] as Drain)[name]));
    return `${median(found[arm].map((each) => each[name])).toFixed(name === "seconds" ? 1 : 0)} (${ratio.toFixed(2)})`;
  };
  console.log(
    `${arm.padEnd(6)} ${part("seconds")} s, manager ${part("manager")} us a job, broker ${part("broker")} us a job`,
  );
}
