/** The page's views, warnings and orders, in a real Chromium against a meter without a broker. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Page } from "playwright-core";
import { FakeFleet } from "../../support/meter/fake-fleet.js";
import { billing, HOSTILE, inList, lane, openViews, small } from "../../support/meter/page-views.js";
import { eventually } from "../../support/wait.js";

const { skip, open } = await openViews();

const PHONE = { width: 360, height: 760 } as const;

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

  test("a warning whose figures change keeps its link, and with it the focus", async (t) => {
    const fleet = new FakeFleet([small("calm"), small("broken")]);
    fleet.trouble.set("broken", { ended: 100, failed: 60 });
    const { page } = await open(t, fleet, "#/");
    const link = warnings(page).filter({ hasText: "60 of 100 jobs" }).getByRole("link", { name: "broken" });
    await link.focus();
    fleet.trouble.set("broken", { ended: 100, failed: 70 });
    await warnings(page).filter({ hasText: "70 of 100 jobs" }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), "broken");
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
