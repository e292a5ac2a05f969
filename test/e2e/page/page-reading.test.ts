/** That a person can read and reach what the page shows, in a real Chromium against a meter without a broker. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Page } from "playwright-core";
import { FakeFleet } from "../../support/meter/fake-fleet.js";
import { billing, inList, lane, openViews } from "../../support/meter/page-views.js";

const { skip, open } = await openViews();

const PHONE = { width: 390, height: 844 } as const;
const LAPTOP = { width: 1_280, height: 900 } as const;

/** Of elements that are shown: those whose text is wider than they are. */
const cutTexts = (page: Page, selector: string) =>
  page.evaluate(
    (wanted) =>
      [...document.querySelectorAll(wanted)]
        .filter((each) => each.checkVisibility() && each.scrollWidth > each.clientWidth)
        .map((each) => each.textContent),
    selector,
  );

/** Inline texts beside each other that only a margin holds apart. */
const gluedTexts = (page: Page) =>
  page.evaluate(() => {
    const found: string[] = [];
    for (const right of document.querySelectorAll("body *")) {
      const left = right.previousSibling;
      const style = getComputedStyle(right);
      if (left === null || !right.checkVisibility() || style.display !== "inline") continue;
      if (left instanceof Element && getComputedStyle(left).display !== "inline") continue;
      const texts = [left.textContent ?? "", right.textContent ?? ""] as const;
      if (/\S$/.test(texts[0]) && /^\S/.test(texts[1]) && style.marginLeft !== "0px") found.push(texts.join("|"));
    }
    return found;
  });

/** Enter on the link that comes first; what is focused then. */
async function skipPools(page: Page): Promise<string> {
  await page.locator("a").first().focus();
  const link = await page.evaluate("document.activeElement.textContent");
  await page.keyboard.press("Enter");
  return `${link} → ${await page.evaluate("document.activeElement.id")}`;
}

describe("reading", { skip }, () => {
  test("the link that skips the pools leads to the workers of the pool that is shown, else to what is shown", async (t) => {
    const { page } = await open(t, billing(), "#/pool/mail", { viewport: LAPTOP, meter: { lane: lane() } });
    await page.getByRole("rowheader", { name: "mail-1" }).waitFor();
    assert.equal(await skipPools(page), "Skip to the workers → workers-title");
    assert.ok(page.url().endsWith("#/pool/mail"), page.url());
    await page.getByRole("heading", { name: "mail", exact: true }).waitFor();
    await page.getByRole("link", { name: "Durable" }).click();
    await page.getByRole("table", { name: "Durable jobs" }).waitFor();
    assert.equal(await skipPools(page), "Skip to the content → main");
    assert.ok(page.url().endsWith("#/durable"), page.url());
  });

  test("large numbers have gaps wherever they stand", async (t) => {
    const fleet = new FakeFleet([{ name: "crawl", workers: 1_200, slots: 2, load: 0.5 }]);
    const { page } = await open(t, fleet, "#/", { viewport: LAPTOP });
    await inList(page, "of 2\u202f400 busy").waitFor();
    await page.getByRole("button", { name: "ready 1\u202f200" }).waitFor();
  });

  test("beside a worker of the longest name its pool can be told", async (t) => {
    const fleet = billing();
    fleet.add("billing", "w".repeat(63), 4);
    const { page } = await open(t, fleet, "#/", { viewport: LAPTOP });
    const row = page.getByRole("row").filter({ hasText: "w".repeat(63) });
    await row.waitFor();
    const { width = 0 } = (await row.locator(".worker-pool").boundingBox()) ?? {};
    assert.ok(width > 24, `${width} pixels`);
  });

  test("a command on a phone is broken between its words", async (t) => {
    const { page } = await open(t, new FakeFleet([]), "#/", { viewport: PHONE });
    const command = page.locator(".command code");
    await command.waitFor();
    assert.equal(await command.textContent(), "poolmesh worker --pool adder --handler ./handler.ts --slots 4");
    const heights = await page.locator(".command-word").evaluateAll((all) => all.map((each) => each.clientHeight));
    assert.equal(new Set(heights).size, 1, heights.join());
  });

  test("on a phone the figures of a lane stand in two lines, and none is cut", async (t) => {
    const { page } = await open(t, billing(), "#/durable", { viewport: PHONE, meter: { lane: lane() } });
    const row = page.getByRole("table", { name: "Durable jobs" }).getByRole("row").filter({ hasText: "billing" });
    await row.waitFor();
    const tops = await row.locator("td").evaluateAll((all) => all.map((each) => each.getBoundingClientRect().top));
    assert.equal(new Set(tops).size, 2, tops.join());
    assert.deepEqual(await cutTexts(page, ".lane-table td"), []);
  });

  test("when dead letters died is read whole", async (t) => {
    const meter = { lane: lane(), controlToken: "t" };
    const { page } = await open(t, billing(), "#/durable/billing", { viewport: LAPTOP, meter });
    await page.getByRole("button", { name: "Show them" }).click();
    await page.getByLabel("Control token").fill("t");
    await page.keyboard.press("Enter");
    await page.getByRole("cell", { name: /^59 min \d+ s ago$/ }).waitFor();
    assert.deepEqual(await cutTexts(page, ".dead-died, .lane-table td"), []);
  });

  test("words that stand apart to the eye are apart for who hears them", async (t) => {
    const fleet = billing();
    fleet.trouble.set("billing", { ended: 420, failed: 97 });
    const meter = { lane: lane(), controlToken: "t" };
    const { page } = await open(t, fleet, "#/pool/billing", { viewport: LAPTOP, meter });
    await page.getByText("97 of 420 failed").waitFor();
    assert.deepEqual(await gluedTexts(page), []);
    await page.getByRole("table", { name: "Last failures newest first" }).waitFor();
    await page.getByRole("rowheader", { name: "billing-1" }).getByRole("link").click();
    await page.getByRole("heading", { name: "billing-1" }).waitFor();
    assert.deepEqual(await gluedTexts(page), []);
    await page.goto(`${new URL(page.url()).origin}/#/durable/billing`);
    await page.getByRole("button", { name: "Show them" }).click();
    await page.getByLabel("Control token").fill("t");
    await page.keyboard.press("Enter");
    await page.getByRole("cell", { name: "job_failed · card.declined the bank says no" }).first().waitFor();
    assert.deepEqual(await gluedTexts(page), []);
  });
});
