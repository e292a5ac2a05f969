/**
 * How smoothly the live page scrolls while workers beat and jobs start: the time
 * between two frames in a real Chromium, with few workers and with many.
 *
 *   node --import tsx scripts/measure/page-scroll.ts [MANY] [SECONDS]
 *
 * The few, enough to fill the view, say what this machine's browser can do; the
 * page is smooth when the many make no difference.
 */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { chromium, type Page } from "playwright-core";
import { build } from "vite";
import { Broker } from "../../broker/broker.js";
import { Bus } from "../../mesh/link/bus.js";
import { packageRoot } from "../../mesh/process/identity.js";
import { HeartbeatGenerator } from "../../test/support/meter/heartbeat-generator.js";
import { toolPath } from "../../test/support/tools.js";
import { forkMeter } from "./meter-child.js";

const [many = 1_000, seconds = 8] = process.argv.slice(2).map(Number);
const FEW = 100;
const CHANGES_PER_SECOND = 200;
const SLOTS = 8;
/** One notch of a mouse wheel, and how often it turns. */
const NOTCH_PX = 120;
const NOTCH_EVERY_MS = 25;

/** Runs in the page; as text, since what a compiler adds to a function is not there. */
const FRAME_TIMES = `(ms) => new Promise((resolve) => {
  const gaps = [];
  const begun = performance.now();
  let last = begun;
  const next = (at) => {
    gaps.push(at - last);
    last = at;
    if (at - begun < ms) requestAnimationFrame(next);
    else resolve(gaps.slice(1));
  };
  requestAnimationFrame(next);
})`;

await build({ configFile: join(packageRoot(), "services", "meter", "page", "vite.config.ts"), logLevel: "silent" });
const args = ["--no-sandbox", "--disable-gpu"];
const browser = await chromium.launch({ executablePath: toolPath("chromium"), headless: true, args });
try {
  for (const workers of [FEW, many, FEW, many]) console.log(describe(workers, await measure(workers)));
} finally {
  await browser.close();
}

/** Frame times, in milliseconds, of a page that is scrolled up and down. */
async function measure(workers: number): Promise<readonly number[]> {
  const broker = new Broker({ port: "any" });
  await broker.start();
  const meter = await forkMeter(broker.url);
  const bus = await Bus.connect({ servers: broker.url });
  const generator = new HeartbeatGenerator(bus, { workers, slots: SLOTS });
  const context = await browser.newContext({ viewport: { width: 1_280, height: 800 } });
  const page = await context.newPage();
  let timer: NodeJS.Timeout | undefined;
  try {
    generator.start();
    await page.goto(meter.url);
    await page.locator(`table[aria-rowcount='${workers + 1}']`).waitFor();
    timer = setInterval(() => changeOne(generator), 1_000 / CHANGES_PER_SECOND);
    return await scroll(page);
  } finally {
    clearInterval(timer);
    await context.close();
    generator.stop();
    await bus.close();
    await meter.stop();
    await broker.stop();
  }
}

function changeOne({ workers }: HeartbeatGenerator): void {
  const worker = workers[Math.floor(Math.random() * workers.length)];
  if (worker === undefined) return;
  if (worker.beat.busy < SLOTS && Math.random() < 0.6) worker.startJob();
  else if (worker.beat.busy > 0) worker.endJob();
}

async function scroll(page: Page): Promise<readonly number[]> {
  await page.mouse.move(640, 500);
  await delay(1_000);
  const frames = page.evaluate<number[]>(`(${FRAME_TIMES})(${seconds * 1_000})`);
  const endMs = performance.now() + seconds * 1_000;
  for (let turn = 0; performance.now() < endMs; turn += 1) {
    await page.mouse.wheel(0, Math.floor(turn / 60) % 2 === 0 ? NOTCH_PX : -NOTCH_PX);
    await delay(NOTCH_EVERY_MS);
  }
  return frames;
}

function describe(workers: number, frames: readonly number[]): string {
  const sorted = [...frames].sort((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN).toFixed(1);
  const late = (frames.filter((ms) => ms > 34).length / frames.length) * 100;
  const rate = (frames.length / seconds).toFixed(0);
  return `${workers} workers: ${rate} frames/s, between two p50 ${at(0.5)} ms, p95 ${at(0.95)}, p99 ${at(0.99)}, over 34 ms ${late.toFixed(1)} %`;
}
