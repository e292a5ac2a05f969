/**
 * Takes docs/page-light.png and docs/page-dark.png: the live page of a real
 * mesh under load. The longer it runs, the fuller the last 15 minutes.
 *
 *   node --import tsx scripts/measure/page-screenshot.ts [MINUTES]
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { chromium } from "playwright-core";
import { build } from "vite";
import { Broker } from "../../broker/broker.js";
import { Bus } from "../../mesh/link/bus.js";
import { packageRoot } from "../../mesh/process/identity.js";
import { Manager } from "../../services/manager/manager.js";
import { Meter } from "../../services/meter/meter.js";
import { Worker } from "../../services/worker/worker.js";
import { toolPath } from "../../test/support/tools.js";

/** A pool, and jobs that keep it at about this share of its slots, up and down. */
interface Plan {
  readonly pool: string;
  readonly workers: number;
  readonly slots: number;
  readonly share: number;
  readonly jobMs: number;
}

const PLANS: readonly Plan[] = [
  { pool: "digest", workers: 12, slots: 8, share: 0.62, jobMs: 1_700 },
  { pool: "adder", workers: 6, slots: 4, share: 0.45, jobMs: 300 },
  { pool: "render", workers: 5, slots: 6, share: 0.93, jobMs: 1_500 },
  { pool: "mail", workers: 2, slots: 48, share: 0.3, jobMs: 1_200 },
];

const runMs = Number(process.argv[2] ?? 16) * 60_000;
const began = performance.now();
const stops: (() => Promise<unknown>)[] = [];
let over = false;

const broker = new Broker({ port: "any" });
await broker.start();
stops.unshift(() => broker.stop());
const meter = new Meter({ bus: { servers: broker.url }, listen: { host: "127.0.0.1", port: 0 } });
await meter.start();
stops.unshift(() => meter.stop());
const workers = new Map<string, Worker>();
const loads: Promise<void>[] = [];
for (const plan of PLANS) loads.push(submitAll(plan, await startPool(plan)));
const lonely = await startLonely();

await delay(runMs);
await lonely.close();
await delay(6_000);
await workers.get("digest-10")?.pause();
await shoot();
over = true;
await Promise.all(loads);
for (const stop of stops) await stop();

async function startPool(plan: Plan): Promise<Manager> {
  for (let i = 1; i <= plan.workers; i += 1) await startWorker(plan, `${plan.pool}-${i}`);
  const manager = await Manager.connect({ pool: plan.pool, servers: broker.url });
  stops.unshift(() => manager.stop());
  return manager;
}

async function startWorker(plan: Plan, id: string, bus?: Bus): Promise<void> {
  const worker = new Worker<number, number>({
    id,
    pool: plan.pool,
    slots: plan.slots,
    servers: broker.url,
    acceptAfterMs: 1,
    graceMs: 5_000,
    run: async (job) => {
      await delay(job.payload);
      if (Math.random() < 0.0004) throw new Error("unlucky");
      return job.payload;
    },
  });
  if (bus !== undefined) worker.useBus(bus);
  await worker.start();
  workers.set(id, worker);
  stops.unshift(() => worker.stop());
}

/** A worker whose connection can be cut, as if its host were gone. */
async function startLonely(): Promise<Bus> {
  const bus = await Bus.connect({ servers: broker.url });
  const plan = PLANS[0];
  if (plan !== undefined) await startWorker(plan, "digest-13", bus);
  return bus;
}

/** Arrivals without a rhythm, at a rate that swells and falls. */
async function submitAll(plan: Plan, manager: Manager): Promise<void> {
  const slots = plan.workers * plan.slots;
  for (let dueMs = performance.now(); !over; ) {
    const seconds = (dueMs - began) / 1_000;
    const swell = 1 + 0.28 * Math.sin(seconds / 67 + slots) + 0.14 * Math.sin(seconds / 19);
    const perMs = (plan.share * slots * swell) / plan.jobMs;
    dueMs += -Math.log(1 - Math.random()) / perMs;
    if (dueMs > performance.now()) await delay(dueMs - performance.now());
    const jobMs = Math.round(plan.jobMs * (0.4 + 1.2 * Math.random()));
    manager.submit(JSON.stringify(jobMs)).catch(() => undefined);
  }
}

async function shoot(): Promise<void> {
  await build({ configFile: join(packageRoot(), "services/meter/page/vite.config.ts"), logLevel: "silent" });
  await mkdir(join(packageRoot(), "docs"), { recursive: true });
  const browser = await chromium.launch({
    executablePath: toolPath("chromium"),
    args: ["--no-sandbox", "--disable-gpu"],
  });
  for (const colorScheme of ["light", "dark"] as const) {
    const page = await browser.newPage({ colorScheme, viewport: { width: 1_440, height: 1_000 } });
    await page.goto(`${meter.url}/#/pool/digest`);
    await page.locator("tr[data-state=lost]").waitFor();
    await delay(2_500);
    void workers.get(colorScheme === "light" ? "digest-4" : "digest-7")?.drain();
    await page.locator("tr[data-state=draining]").waitFor();
    await delay(1_050);
    await page.screenshot({ path: join(packageRoot(), "docs", `page-${colorScheme}.png`) });
    await page.close();
  }
  await browser.close();
}
