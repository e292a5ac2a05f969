/** The live page with a thousand workers, against a meter without a broker. */
import assert from "node:assert/strict";
import { test } from "node:test";
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
