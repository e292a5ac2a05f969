/** That a person can read and reach what the page shows, in a real Chromium against a meter without a broker. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Page } from "playwright-core";
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { contrast, mixed } from "../../support/meter/colours.js";
import { FakeFleet } from "../../support/meter/fake-fleet.js";
import { billing, HOSTILE, inList, lane, openViews, small } from "../../support/meter/page-views.js";

const { skip, open } = await openViews();

const PHONE = { width: 390, height: 844 } as const;
/** As narrow as phones are. */
const NARROW = { width: 360, height: 760 } as const;
const LAPTOP = { width: 1_280, height: 900 } as const;
const LONG = "w".repeat(63);
/** Turned text, an emoji of several code points, and a name as long as a name may be. */
const ODD_NAMES = ["\u202egnp.exe", "👩‍🚀🔥", LONG];

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

describe("any reader", { skip }, () => {
  const full = (): FakeFleet => {
    const fleet = new FakeFleet([small("billing"), small("mail"), small("render", 1.4), small(LONG)]);
    for (const name of [HOSTILE, ...ODD_NAMES]) fleet.add("billing", name, 60, name.repeat(3));
    fleet.add(LONG, LONG, 4);
    const lost = fleet.find("billing-1")?.heartbeat;
    if (lost !== undefined) lost.state = WorkerState.LOST;
    for (const { heartbeat } of fleet.views.values()) {
      if (heartbeat !== undefined) heartbeat.labels = { [HOSTILE]: "z".repeat(63) };
    }
    fleet.trouble.set("billing", { ended: 420, failed: 97, streams: ["S".repeat(120)], managers: 0 });
    return fleet;
  };
  const views = [
    "#/",
    "#/pool/billing",
    "#/pool/nobody",
    "#/durable/billing",
    `#/pool/billing/worker/${ODD_NAMES[2]}`,
    "#/pool/billing/job/x",
    `#/pool/${LONG}`,
    `#/pool/${LONG}/worker/${LONG}`,
    `#/pool/${LONG}/job/${LONG}`,
  ];

  test("no view is wider than a phone of 360 pixels, whatever names it shows", async (t) => {
    const meter = { lane: lane(), controlToken: "t" };
    const { page, complaints } = await open(t, full(), "#/", { viewport: NARROW, meter });
    for (const view of views) {
      await page.evaluate((hash) => {
        location.hash = hash;
      }, view);
      await page.locator("main :is(h2, h3):visible").first().waitFor();
      if (view === "#/pool/billing") await page.getByText("97 of 420 failed").waitFor();
      // What is said of a job that nobody has comes later, and has its name.
      if (view.includes("/job/")) await page.locator("#job .none").filter({ hasText: "Job" }).waitFor();
      const tooWide = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
      assert.equal(tooWide, 0, view);
    }
    assert.deepEqual(complaints, []);
  });

  test("nothing that a reader needs whole is cut: the command to start with, and how long ago a job or a heartbeat was", async (t) => {
    const whole = (selector: string): string =>
      `[...document.querySelectorAll("${selector}")].every((each) => each.scrollWidth <= each.clientWidth)`;
    const start = await open(t, new FakeFleet([]), "#/", { viewport: NARROW });
    await start.page.getByText("poolmesh worker --pool").waitFor();
    assert.equal(await start.page.evaluate(whole(".command")), true);
    for (const viewport of [NARROW, { width: 1_024, height: 760 }, { width: 1_440, height: 900 }]) {
      const { page } = await open(t, full(), "#/pool/billing", { viewport });
      await page.getByText("97 of 420 failed").waitFor();
      const cut =
        await page.evaluate(`[...document.querySelectorAll("td:is(.sample-ended, .col-beat)")].filter((cell) => {
        const said = cell.textContent;
        cell.textContent = cell.matches(".col-beat") ? "59 min 59 s" : "59 min 59 s ago";
        const isCut = cell.scrollWidth > cell.clientWidth;
        cell.textContent = said;
        return isCut;
      }).length`);
      assert.equal(cut, 0, String(viewport.width));
    }
  });

  test("on a phone the views are chosen below the name and the connection, not beside them", async (t) => {
    const { page } = await open(t, full(), "#/", { viewport: NARROW, meter: { lane: lane() } });
    const tabs = await page.getByRole("navigation", { name: "Views" }).boundingBox();
    const connection = await page.locator("#connection").boundingBox();
    assert.ok(tabs && connection && tabs.y >= connection.y + connection.height, JSON.stringify({ tabs, connection }));
    assert.ok(connection.x > NARROW.width / 2, "at the right edge");
  });

  test("hostile names become no markup in any view, and turn no text", async (t) => {
    const { page, complaints, foreign } = await open(t, full(), "#/", { meter: { lane: lane() } });
    for (const view of [...views, `#/pool/billing/worker/${encodeURIComponent(HOSTILE)}`]) {
      await page.evaluate((hash) => {
        location.hash = hash;
      }, view);
      await page.locator("main :is(h2, h3):visible").first().waitFor();
      assert.equal(await page.locator("main img, nav img, main script").count(), 0, view);
      assert.doesNotMatch((await page.locator("body").textContent()) ?? "", /\u202e/, view);
    }
    await page.getByRole("heading", { name: HOSTILE }).waitFor();
    assert.deepEqual([complaints, foreign], [[], []]);
  });

  test("all that can be clicked is reached by the keyboard, and what is focused is seen", async (t) => {
    const { page } = await open(t, full(), "#/pool/billing", { meter: { lane: lane(), controlToken: "t" } });
    await page.getByText("97 of 420 failed").waitFor();
    const wanted = await page.evaluate(() => {
      const all = [...document.querySelectorAll("a[href], button, input")] as HTMLElement[];
      return all.filter((each) => each.checkVisibility() && each.closest("dialog") === null).length;
    });
    const reached = new Set<string>();
    for (let i = 0; i < wanted + 3; i += 1) {
      await page.keyboard.press("Tab");
      const at = await page.evaluate(() => {
        const focused = document.activeElement;
        if (focused === null || focused === document.body) return "";
        const outline = getComputedStyle(focused).outlineStyle;
        const path: string[] = [];
        for (let node: Element | null = focused; node !== null; node = node.parentElement) {
          path.push(String([...(node.parentElement?.children ?? [])].indexOf(node)));
        }
        return `${outline === "none" ? "unseen " : ""}${path.join(".")}`;
      });
      if (at !== "") reached.add(at);
    }
    assert.ok(![...reached].some((at) => at.startsWith("unseen")));
    assert.ok(reached.size >= wanted, `${reached.size} of ${wanted}`);
  });

  test("text has a contrast of 4.5 : 1 on every ground it stands on, light and dark", async (t) => {
    for (const colorScheme of ["light", "dark"] as const) {
      const { page } = await open(t, billing(), "#/", { colorScheme });
      const grounds = [
        [["paper"], ["ink", "soft", "water", "amber", "coral", "iris"]],
        [["panel"], ["ink", "soft", "water", "amber", "coral", "iris"]],
        [
          ["paper", "coral-wash"],
          ["ink", "soft", "amber", "coral"],
        ],
        [
          ["paper", "amber-row"],
          ["ink", "soft", "amber"],
        ],
      ] as const;
      const poor: string[] = [];
      for (const [ground, texts] of grounds) {
        for (const text of texts) {
          const ratio = contrast(await mixed(page, [...ground, text]), await mixed(page, ground));
          if (ratio < 4.5) poor.push(`${text} on ${ground.join("+")}: ${ratio.toFixed(2)}`);
        }
      }
      assert.deepEqual(poor, [], colorScheme);
    }
  });

  test("who wants no motion gets none", async (t) => {
    const { page } = await open(t, billing(), "#/", { reducedMotion: "reduce" });
    await page.locator(".level-fill").first().waitFor();
    const moving = await page.evaluate(
      () =>
        [...document.querySelectorAll("*")].filter((each) => {
          const { transitionDuration, animationName } = getComputedStyle(each);
          return transitionDuration !== "0s" || animationName !== "none";
        }).length,
    );
    assert.equal(moving, 0);
  });
});
