/** The page's views, warnings and orders, in a real Chromium against a meter without a broker. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Page } from "playwright-core";
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { contrast, mixed } from "../../support/meter/colours.js";
import { FakeFleet } from "../../support/meter/fake-fleet.js";
import { billing, HOSTILE, inList, lane, openViews, small } from "../../support/meter/page-views.js";
import { eventually } from "../../support/wait.js";

const { skip, open } = await openViews();

const PHONE = { width: 360, height: 760 } as const;
const LONG = "w".repeat(63);
/** Turned text, an emoji of several code points, and a name as long as a name may be. */
const ODD_NAMES = ["\u202egnp.exe", "👩‍🚀🔥", LONG];

const pools = (page: Page) => page.locator("#pools .pool-name").allTextContents();
const warnings = (page: Page) => page.getByRole("list", { name: "Warnings" }).getByRole("listitem");

describe("pools", { skip }, () => {
  test("the pools that fail come first, then the saturated ones, and each says why", async (t) => {
    const fleet = new FakeFleet([small("calm"), small("full", 1.4), small("broken"), small("lonely"), small("taken")]);
    for (let i = 0; i < 40; i += 1) fleet.step();
    fleet.trouble.set("broken", { ended: 100, failed: 60 });
    fleet.trouble.set("lonely", { managers: 0 });
    fleet.trouble.set("taken", { streams: ["AUDIT"] });
    const { page } = await open(t, fleet, "#/");
    await page.locator(".pool").nth(5).waitFor();
    const [all, ...rest] = await pools(page);
    assert.equal(all, "All pools");
    assert.deepEqual(
      [rest.slice(0, 3).sort(), rest.slice(3)],
      [
        ["broken", "lonely", "taken"],
        ["full", "calm"],
      ],
    );
    for (const [pool, words] of [
      ["broken", "60 % fail"],
      ["lonely", "no manager"],
      ["taken", "stream"],
      ["full", "saturated"],
    ] as const) {
      await inList(page, pool).filter({ hasText: words }).waitFor();
    }
    await warnings(page).filter({ hasText: "lonely No manager serves it" }).waitFor();
    await warnings(page).filter({ hasText: "stream AUDIT captures" }).waitFor();
    await warnings(page).filter({ hasText: "60 of 100 jobs" }).getByRole("link", { name: "broken" }).click();
    await page.getByRole("heading", { name: "broken" }).waitFor();
    assert.equal(await warnings(page).count(), 1);
    await page
      .locator(".fact[data-tone=coral]")
      .filter({ hasText: "Failure rate" })
      .filter({ hasText: "60 %" })
      .waitFor();
  });

  test("the order rests while the pointer is on the list", async (t) => {
    const fleet = new FakeFleet([small("aa", 0), small("bb", 0)]);
    const { page } = await open(t, fleet, "#/");
    await inList(page, "bb").hover();
    fleet.trouble.set("bb", { ended: 10, failed: 10 });
    await inList(page, "100 % fail").filter({ hasText: "bb" }).waitFor();
    await eventually(async () => (await page.evaluate(() => performance.now())) > 7_000);
    assert.deepEqual(await pools(page), ["All pools", "aa", "bb"]);
    await page.mouse.move(900, 600);
    await page.locator("#pools li:nth-child(2)").filter({ hasText: "bb" }).waitFor();
  });

  test("a pool whose only manager is gone says so, and does not when it is back", async (t) => {
    const fleet = billing();
    const { page } = await open(t, fleet, "#/pool/mail");
    await page.getByRole("heading", { name: "mail" }).waitFor();
    assert.equal(await warnings(page).count(), 0);
    fleet.trouble.set("mail", { managers: 0 });
    await warnings(page).filter({ hasText: "No manager" }).waitFor();
    await page.locator(".fact[data-tone=coral]").filter({ hasText: "Managers" }).filter({ hasText: "0" }).waitFor();
    fleet.trouble.delete("mail");
    await page.locator("#warnings").waitFor({ state: "hidden" });
  });

  test("on a phone every one of forty pools is within reach, and a chosen one closes the list", async (t) => {
    const fleet = new FakeFleet(Array.from({ length: 40 }, (_, i) => small(`pool-${i + 10}`)));
    const { page } = await open(t, fleet, "#/", { viewport: PHONE });
    const last = page.locator("#pools li").nth(40).getByRole("link");
    // So many would hide the warnings and figures below them.
    const all = page.getByRole("button", { name: "All pools · 40 pools" });
    await last.waitFor({ state: "hidden" });
    await all.press("Enter");
    const name = await last.locator(".pool-name").textContent();
    await last.click();
    await page.getByRole("heading", { name: name ?? "", level: 2 }).waitFor();
    await last.waitFor({ state: "hidden" });
    const toggle = page.getByRole("button", { name: `${name} · 40 pools` });
    assert.equal(await toggle.getAttribute("aria-expanded"), "false");
    await toggle.press("Enter");
    await last.waitFor();
  });
});

describe("addresses", { skip }, () => {
  test("a pool, a worker and the durable lane have addresses that survive a reload", async (t) => {
    const { page } = await open(t, billing(), "#/pool/mail", { meter: { lane: lane() } });
    const shows = async (): Promise<void> => {
      await page.getByRole("heading", { name: "mail", exact: true }).waitFor();
    };
    await shows();
    await page.reload();
    await shows();
    await page.getByRole("rowheader", { name: "mail-2" }).getByRole("link").click();
    await page.getByRole("heading", { name: "mail-2" }).waitFor();
    assert.equal(new URL(page.url()).hash, "#/pool/mail/worker/mail-2");
    await page.reload();
    await page.getByRole("heading", { name: "mail-2" }).waitFor();
    await page.getByRole("link", { name: "Durable" }).click();
    await page.getByRole("table", { name: "Durable jobs" }).getByRole("link", { name: "billing" }).click();
    assert.equal(new URL(page.url()).hash, "#/durable/billing");
    await page.reload();
    await page.getByRole("heading", { name: /^Dead letters of billing/ }).waitFor();
    await page.goBack();
    await page.goBack();
    await page.getByRole("heading", { name: "mail-2" }).waitFor();
  });

  test("a worker that is not there is said to be so", async (t) => {
    const { page } = await open(t, billing(), "#/pool/mail/worker/nobody");
    await page.getByText("The meter knows no worker nobody in this pool").waitFor();
  });
});

describe("one pool", { skip }, () => {
  test("when managers do not answer, the figures stay and it is said that jobs are missing", async (t) => {
    const fleet = billing();
    fleet.trouble.set("billing", { ended: 420, failed: 97 });
    const { page, meter } = await open(t, fleet, "#/pool/billing");
    const jobs = page.getByRole("region", { name: "Jobs" });
    await jobs.getByRole("table", { name: "Recent" }).waitFor();
    meter.silentManagers = ["manager-2"];
    await jobs.getByText("No answer from manager-2: their jobs are missing.").waitFor();
    meter.jobsFailure = "the broker refuses it";
    await jobs.getByText("The jobs cannot be listed now: the broker refuses it").waitFor();
    await jobs.getByText("97 of 420 failed: 23 %").waitFor();
    assert.equal(await jobs.getByRole("table", { name: "Recent" }).count(), 0);
    meter.jobsFailure = "";
    await page.goto(`${meter.url}/#/pool/mail`);
    await jobs.locator(".samples", { hasText: "Last failures" }).getByText("Not known.").waitFor();
  });

  test("its failures, their share and the times of its jobs are told, and agree with its head", async (t) => {
    const fleet = billing();
    fleet.trouble.set("billing", { ended: 420, failed: 97 });
    const { page, complaints } = await open(t, fleet, "#/pool/billing");
    const jobs = page.getByRole("region", { name: "Jobs" });
    await jobs.getByText("97 of 420 failed: 23 %").waitFor();
    await page.locator(".fact").filter({ hasText: "Failure rate" }).filter({ hasText: "23 %" }).waitFor();
    await warnings(page).filter({ hasText: "97 of 420 jobs" }).waitFor();
    await jobs.getByRole("row", { name: "Took 214 ms 470 ms 1.5 s" }).waitFor();
    const failures = jobs.getByRole("table", { name: "Last failures" });
    await failures
      .getByRole("row")
      .filter({ hasText: "card.declined" })
      .filter({ hasText: "the bank says no" })
      .waitFor();
    for (const [timed, spoken] of [
      ["total", /submit to the outcome.*p50 214 ms, p95 470 ms, p99 1.5 s/],
      ["wait", /submit to the start.*p99 121 ms/],
      ["run", /start of the last attempt to the outcome.*p50 212 ms/],
    ] as const) {
      await jobs.getByRole("button", { name: timed, exact: true }).click();
      await jobs.getByRole("img", { name: spoken }).waitFor();
    }
    await failures.getByRole("link", { name: "billing-2" }).first().click();
    await page.getByRole("heading", { name: "billing-2" }).waitFor();
    assert.deepEqual(complaints, []);
  });
});

describe("one job", { skip }, () => {
  test("it has an address, its outcome and a line of time, one that runs is shown too, and one that nobody knows is said to be so", async (t) => {
    const fleet = billing();
    fleet.trouble.set("billing", { ended: 420, failed: 97 });
    const { page, complaints, meter } = await open(t, fleet, "#/pool/billing");
    const failures = page.getByRole("table", { name: "Last failures" });
    await failures.getByRole("row").filter({ hasText: "attempt 2" }).getByRole("rowheader").getByRole("link").click();
    const job = page.getByRole("region", { name: "Job", exact: true });
    for (const text of [
      "job_failed",
      "answered 503",
      "waited 54 ms",
      "ran 217 ms",
      "0 ms submitted",
      "54 ms sent as attempt 2 to billing-2",
      "271 ms ended: job_failed",
    ]) {
      await job.getByText(text).first().waitFor();
    }
    await job.getByRole("img", { name: "waited 54 ms, ran 217 ms" }).waitFor();
    assert.match(new URL(page.url()).hash, /^#\/pool\/billing\/job\/7Q0ZK/);
    await page.reload();
    await job.getByText("answered 503").waitFor();
    await page.evaluate(() => {
      location.hash = "#/pool/billing/job/nobody";
    });
    await page.getByText("Job nobody: no manager has a job with this id").waitFor();
    await page.goto(`${meter.url}/#/pool/billing`);
    const recent = page.getByRole("table", { name: "Recent" });
    const running = recent.getByRole("row").filter({ hasText: "running" });
    await running.getByRole("cell", { name: "–" }).waitFor();
    await running.getByRole("rowheader").getByRole("link").click();
    await job.getByText("180 ms running").waitFor();
    await job.getByText("manager manager-1 · client shop · payload 112 bytes").waitFor();
    assert.deepEqual(complaints, []);
  });
});

describe("one worker", { skip }, () => {
  test("its labels, version, isolation, running jobs and clock are told, and an old version and a clock that is off stand out", async (t) => {
    const fleet = billing();
    const old = fleet.find("billing-1");
    assert.ok(old?.heartbeat);
    old.clockOffsetMs = 93_000;
    const { heartbeat: newer } = fleet.find("billing-2") ?? {};
    assert.ok(newer);
    newer.version = "0.3.0";
    Object.assign(old.heartbeat, { runningJobs: ["job-1", HOSTILE], busy: 2 });
    const { page } = await open(t, fleet, "#/pool/billing/worker/billing-1", { meter: { stepMs: 3_600_000 } });
    await page.getByRole("heading", { name: "billing-1" }).waitFor();
    const main = page.getByRole("main");
    for (const text of ["zone eu-1", "job-1", HOSTILE, "thread: one for each running job", "node-1 · pid 1000"]) {
      await main.getByText(text).waitFor();
    }
    await page.locator("[data-tone=amber]").filter({ hasText: "1 min 33 s ahead of the meter's" }).waitFor();
    await page.locator("[data-tone=amber]").filter({ hasText: "0.1.0: more than a minor version behind" }).waitFor();
    assert.equal(
      await main.getByRole("link", { name: "job-1", exact: true }).getAttribute("href"),
      "#/pool/billing/job/job-1",
    );
    await page.getByRole("link", { name: "← billing" }).click();
    await page.getByRole("row").filter({ hasText: "billing-1" }).getByText("old", { exact: true }).waitFor();
    assert.equal(
      await page.getByRole("row").filter({ hasText: "billing-2" }).getByText("old", { exact: true }).count(),
      0,
    );
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
    const { page, complaints } = await open(t, full(), "#/", { viewport: PHONE, meter });
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
    const start = await open(t, new FakeFleet([]), "#/", { viewport: PHONE });
    await start.page.getByText("poolmesh worker --pool").waitFor();
    assert.equal(await start.page.evaluate(whole(".command")), true);
    for (const viewport of [PHONE, { width: 1_024, height: 760 }, { width: 1_440, height: 900 }]) {
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
    const { page } = await open(t, full(), "#/", { viewport: PHONE, meter: { lane: lane() } });
    const tabs = await page.getByRole("navigation", { name: "Views" }).boundingBox();
    const connection = await page.locator("#connection").boundingBox();
    assert.ok(tabs && connection && tabs.y >= connection.y + connection.height, JSON.stringify({ tabs, connection }));
    assert.ok(connection.x > PHONE.width / 2, "at the right edge");
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
