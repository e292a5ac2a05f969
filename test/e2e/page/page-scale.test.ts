/** How much the live page bears: a thousand workers, marks in narrow columns, and its own weight. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { cleanUp } from "../../support/clean-up.js";
import { buildPage, openPage, startBrowser } from "../../support/meter/browser-page.js";
import { FakeFleet } from "../../support/meter/fake-fleet.js";
import { FakeMeter } from "../../support/meter/fake-meter.js";
import { without } from "../../support/tools.js";

const skip = without("chromium");

test("a thousand workers are all within reach while only those in view are drawn", { skip }, async (t) => {
  const fleet = new FakeFleet([{ name: "crawl", workers: 1_000, slots: 8, load: 0.7 }]);
  const meter = new FakeMeter(fleet, { pageFolder: await buildPage(t) });
  cleanUp(t, () => meter.stop());
  await meter.start();
  const { page, complaints } = await openPage(t, await startBrowser(t), meter.url);
  await page.locator("table[aria-rowcount='1001']").waitFor();
  assert.ok((await page.locator("tbody tr.worker").count()) < 60);
  await page.mouse.move(700, 500);
  await page.mouse.wheel(0, 1_000_000);
  await page.getByRole("rowheader", { name: "crawl-1000" }).waitFor();
  await page.locator("tr[aria-rowindex='1001']").waitFor();
  assert.ok((await page.locator("tbody tr.worker").count()) < 60);
  await page.getByLabel(/^Filter workers/).fill("crawl-777");
  await page.getByRole("rowheader", { name: "crawl-777" }).waitFor();
  assert.deepEqual(complaints, []);
});

test("what is wrong with a worker is read whole at every width, however long its name is", { skip }, async (t) => {
  const fleet = new FakeFleet([{ name: "billing", workers: 1, slots: 4, load: 0 }]);
  const long = fleet.add("billing", "w".repeat(63), 4);
  const short = fleet.add("thumbnails-of-the-shop", "host-1234-abcd", 4);
  Object.assign(long, { lagging: true });
  Object.assign(short, { lagging: true });
  const meter = new FakeMeter(fleet, { pageFolder: await buildPage(t), controlToken: "t" });
  cleanUp(t, () => meter.stop());
  await meter.start();
  const browser = await startBrowser(t);
  for (const width of [360, 390, 820, 1_024, 1_280, 1_440]) {
    const { page } = await openPage(t, browser, meter.url, { viewport: { width, height: 800 } });
    await page.locator(".mark").nth(1).waitFor();
    const cut = await page.evaluate(`[...document.querySelectorAll(".mark")].filter((mark) => {
      const cell = mark.closest("th").getBoundingClientRect();
      const around = mark.parentElement;
      return mark.getBoundingClientRect().right > cell.right || around.scrollWidth > around.clientWidth;
    }).length`);
    assert.equal(cut, 0, `${width} pixels`);
  }
});

test("the page weighs less than 100 kB on the wire", { skip }, async (t) => {
  const folder = await buildPage(t);
  const assets = readdirSync(join(folder, "assets")).map((name) => readFileSync(join(folder, "assets", name)));
  const bytes = assets.reduce((sum, asset) => sum + gzipSync(asset).length, 0);
  assert.ok(bytes < 100_000, `${bytes} bytes`);
});
