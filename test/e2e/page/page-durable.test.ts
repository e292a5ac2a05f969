/** The page's view of the durable lane, in a real Chromium against a meter without a broker. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Priority } from "../../../gen/poolmesh/v1/manager_pb.js";
import { FakeLane } from "../../support/meter/fake-lane.js";
import { billing, HOSTILE, inList, lane, openViews } from "../../support/meter/page-views.js";

const { skip, open } = await openViews();

describe("durable lane", { skip }, () => {
  test("without a lane there is no tab, with one the figures add up", async (t) => {
    const none = await open(t, billing(), "#/");
    await inList(none.page, "mail").waitFor();
    assert.equal(await none.page.getByRole("link", { name: "Durable" }).count(), 0);
    const { page } = await open(t, billing(), "#/", { meter: { lane: lane() } });
    await page.getByRole("link", { name: "Durable 2 dead" }).click();
    const table = page.getByRole("table", { name: "Durable jobs" });
    await table.getByRole("row", { name: "billing 0 1 204 12 48 3 2 1 h 2 min" }).waitFor();
    await table.getByRole("row", { name: "All pools 0 1 204 12 48 3 2 1 h 2 min" }).waitFor();
  });

  test("a lane that is empty is no lane", async (t) => {
    const { page } = await open(t, billing(), "#/durable", { meter: { lane: new FakeLane([]) } });
    await page.getByText("This broker has no durable lane").waitFor();
    assert.equal(await page.getByRole("link", { name: "Durable" }).count(), 0);
  });

  test("a lane that cannot be read says why, keeps its last figures, and goes on when it can", async (t) => {
    const durable = lane();
    const { page } = await open(t, billing(), "#/durable/billing", { meter: { lane: durable } });
    const row = page.getByRole("table", { name: "Durable jobs" }).getByRole("row").filter({ hasText: "billing" });
    await row.waitFor();
    durable.failure = "the stream has no leader";
    await page.getByText("The lanes cannot be read now: the stream has no leader").waitFor();
    await row.filter({ hasText: "1 204" }).waitFor();
    durable.failure = undefined;
    await page.getByText("cannot be read").waitFor({ state: "detached" });
  });

  test("a lane that could not be read since the page was opened has its tab all the same", async (t) => {
    const durable = lane();
    durable.failure = "the operation timed out";
    const { page } = await open(t, billing(), "#/durable/billing", { meter: { lane: durable } });
    await page.getByText("The lanes cannot be read now").waitFor();
    await page.getByRole("link", { name: "Durable", exact: true }).and(page.locator("[aria-current=page]")).waitFor();
    durable.failure = undefined;
    await page.getByRole("link", { name: "Durable 2 dead" }).waitFor();
  });

  test("a meter that is read-only shows no dead letter and offers no change", async (t) => {
    const { page } = await open(t, billing(), "#/durable/billing", { meter: { lane: lane() } });
    await page.getByText("This meter is read-only").waitFor();
    assert.equal(await page.getByRole("button", { name: /Show|Retry|Purge/ }).count(), 0);
  });

  test("dead letters are shown, retried and purged with the control token, which stays in memory only", async (t) => {
    const durable = lane();
    const meter = { lane: durable, controlToken: "open-sesame" };
    const { page, foreign } = await open(t, billing(), "#/durable/billing", { meter });
    await page.getByRole("button", { name: "Show them" }).click();
    const dialog = page.getByRole("dialog", { name: "Show the dead letters of billing?" });
    await dialog.getByLabel("Control token").fill("wrong");
    await page.keyboard.press("Enter");
    await dialog.getByText("does not accept this token").waitFor();
    assert.equal(await page.getByText("invoice-7").count(), 0);
    await dialog.getByLabel("Control token").fill("open-sesame");
    await page.keyboard.press("Enter");
    await dialog.waitFor({ state: "hidden" });
    const letter = page.getByRole("row").filter({ hasText: "invoice-7" });
    await letter.filter({ hasText: "job_failed · card.declined" }).filter({ hasText: "the bank says no" }).waitFor();
    await page.getByRole("button", { name: "Retry invoice-7" }).click();
    assert.deepEqual(durable.retried, [], "nothing is done before it is confirmed");
    await page.getByRole("dialog", { name: "Retry invoice-7?" }).getByRole("button", { name: "Retry" }).click();
    await letter.waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Purge invoice-9" }).click();
    await page.getByRole("dialog", { name: "Purge invoice-9?" }).getByRole("button", { name: "Cancel" }).click();
    assert.deepEqual([durable.retried, durable.purged], [["invoice-7"], []]);
    await page.getByRole("button", { name: "Purge invoice-9" }).click();
    await page.getByRole("dialog", { name: "Purge invoice-9?" }).getByRole("button", { name: "Purge" }).click();
    await page.getByText("There are none.").waitFor();
    assert.deepEqual(durable.purged, ["invoice-9"]);
    const kept = "JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }, location.href])";
    assert.doesNotMatch(String(await page.evaluate(kept)), /sesame/);
    await page.reload();
    durable.pools[0]?.dead.push("invoice-10");
    await page.getByRole("button", { name: "Show them" }).click();
    await page.getByLabel("Control token").waitFor();
    assert.deepEqual(foreign, []);
  });

  test("a lane says what of it is paused, for how long, and how many jobs wait for their time", async (t) => {
    const rest = { queued: 7, held: 0, retrying: 0, oldestMs: 90_000, dead: [] };
    const all = [Priority.HIGH, Priority.NORMAL, Priority.LOW];
    const until = timestampFromMs(Date.now() + 7_200_000);
    const lanes = new FakeLane([
      { pool: "billing", scheduled: 3, paused: { levels: all, until }, ...rest },
      { pool: "mail", paused: { levels: all }, ...rest },
      { pool: "render", scheduled: 1, paused: { levels: [Priority.LOW] }, ...rest },
    ]);
    const { page } = await open(t, billing(), "#/durable", { meter: { lane: lanes } });
    const table = page.getByRole("table", { name: "Durable jobs" });
    await table.getByRole("row", { name: /^billing\s*paused for (2 h|1 h 59 min) more 3 7 / }).waitFor();
    await table.getByRole("row", { name: /^mail\s*paused until it is resumed 0 7 / }).waitFor();
    await table.getByRole("row", { name: /^render\s*paused in part \(low\) until it is resumed 1 7 / }).waitFor();
    await table.getByRole("row", { name: /^All pools 4 21 / }).waitFor();
  });

  test("open batches of a pool are shown with how many of their jobs have an outcome", async (t) => {
    const lanes = new FakeLane([
      {
        ...{ pool: "billing", queued: 3, held: 0, retrying: 0, oldestMs: undefined, dead: [] },
        batches: [
          { id: "import-7", succeeded: 10, failed: 2, total: 40, openMs: 125_000 },
          { id: HOSTILE.slice(0, 40), succeeded: 1, failed: 0, total: undefined, openMs: 4_000 },
        ],
      },
    ]);
    const { page, complaints, foreign } = await open(t, billing(), "#/durable/billing", { meter: { lane: lanes } });
    const table = page.getByRole("table", { name: "Open batches of billing · 2" });
    await table.getByRole("row", { name: "import-7 12 of 40 2 2 min" }).waitFor();
    await table.getByRole("row", { name: "1 so far 0" }).waitFor();
    const names = `[...document.querySelectorAll("tbody th")].map((each) => getComputedStyle(each))`;
    const looks = await page.evaluate(`[...new Set(${names}.map((each) => each.textAlign + " " + each.fontWeight))]`);
    assert.deepEqual(looks, ["left 400"], "names of lanes and of batches stand alike");
    assert.equal(await page.locator("main img").count(), 0);
    assert.deepEqual([complaints, foreign], [[], []]);
  });

  test("hostile text of a dead letter is text", async (t) => {
    const hostile = new FakeLane(
      [{ pool: "billing", queued: 0, held: 0, retrying: 0, oldestMs: undefined, dead: ["x"] }],
      `${HOSTILE}\u202e`,
    );
    const meter = { lane: hostile, controlToken: "t" };
    const { page, complaints, foreign } = await open(t, billing(), "#/durable", { meter });
    await page.getByRole("button", { name: "Show them" }).click();
    await page.getByLabel("Control token").fill("t");
    await page.keyboard.press("Enter");
    await page.getByText(HOSTILE).waitFor();
    assert.equal(await page.locator("main img").count(), 0);
    assert.deepEqual([complaints, foreign], [[], []]);
  });
});
