/** The live page of a real meter, clicked through in a real Chromium while workers run. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Browser } from "playwright-core";
import { Meter, type MeterOptions } from "../../../services/meter/meter.js";
import { connectBus, type Owner, startBroker } from "../../support/broker.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { makeCertificates } from "../../support/doors/certificates.js";
import { makePolicy } from "../../support/doors/policy.js";
import { buildPage, openPage, startBrowser } from "../../support/meter/browser-page.js";
import { HeartbeatGenerator } from "../../support/meter/heartbeat-generator.js";
import { startWorker } from "../../support/started-worker.js";
import { without } from "../../support/tools.js";
import { eventually, gate } from "../../support/wait.js";

const skip = without("chromium");
const folder = skip === false ? await buildPage() : "";
const browser = skip === false ? await startBrowser() : (undefined as unknown as Browser);
const broker = await startBroker(WHOLE_FILE);

async function startMeter(t: Owner, options: Partial<MeterOptions> = {}): Promise<Meter> {
  const listen = { host: "127.0.0.1", port: 0 };
  const meter = new Meter({ bus: { servers: broker.url }, listen, pageFolder: folder, ...options });
  cleanUp(t, () => meter.stop());
  await meter.start();
  return meter;
}

async function startBeats(t: Owner, options: ConstructorParameters<typeof HeartbeatGenerator>[1]) {
  const generator = new HeartbeatGenerator(await connectBus(t, broker), options);
  cleanUp(t, () => generator.stop());
  generator.start();
  return generator;
}

describe("live page", { skip }, () => {
  test("a worker's busy slots follow its jobs, on the page and in the pool's level", async (t) => {
    const held = gate();
    const meter = await startMeter(t);
    const { pool, caller } = await startWorker(t, broker, { slots: 4, run: () => held.promise });
    const { page, ...watched } = await openPage(t, browser, meter.url, { hash: `#${pool}` });
    await page.getByRole("row").filter({ hasText: "0 / 4" }).waitFor();
    const jobs = [caller.send("1"), caller.send("2"), caller.send("3")];
    await page.getByRole("row").filter({ hasText: "3 / 4" }).waitFor();
    await page.locator(".strip .cell.busy").nth(2).waitFor();
    await page.getByRole("link").filter({ hasText: pool }).filter({ hasText: "75 %" }).waitFor();
    await page.locator(".hero-caption").filter({ hasText: "3 of 4 slots busy" }).waitFor();
    held.open();
    await Promise.all(jobs.map((job) => job.outcome()));
    await page.getByRole("row").filter({ hasText: "0 / 4" }).waitFor();
    assert.deepEqual([watched.complaints, watched.foreign], [[], []]);
  });

  test("a worker that falls silent is shown as lost, first in the table and said aloud", async (t) => {
    const meter = await startMeter(t);
    const generator = await startBeats(t, { pool: "silent", workers: 3, intervalMs: 300, answersProbes: false });
    const watched = await openPage(t, browser, meter.url, { hash: "#silent" });
    await watched.rowIs("w2", "ready");
    await eventually(async () => (await watched.page.locator("#announcer").textContent()) !== "");
    const victim = generator.workers[2];
    assert.ok(victim);
    victim.alive = false;
    await watched.rowIs("w2", "lost");
    await watched.page.locator("tbody tr.worker").first().filter({ hasText: "w2" }).waitFor();
    await watched.page.locator("#announcer").filter({ hasText: "w2 lost" }).waitFor();
    await watched.page.getByRole("button", { name: "lost 1" }).click();
    await watched.page.locator(".shown").filter({ hasText: "1 of 3" }).waitFor();
  });

  test("two processes that claim one id are two rows, both in conflict", async (t) => {
    const meter = await startMeter(t);
    await startBeats(t, { pool: "twins", intervalMs: 200 });
    await startBeats(t, { pool: "twins", intervalMs: 200 });
    const { page } = await openPage(t, browser, meter.url, { hash: "#twins" });
    await page.locator("tr[data-conflict]").nth(1).waitFor();
    assert.equal(await page.getByText("conflict", { exact: true }).count(), 2);
  });

  test("hostile text is shown as text and runs nothing", async (t) => {
    const meter = await startMeter(t);
    const generator = await startBeats(t, { pool: "evil", labels: { zone: "<script>alert(1)</script>" } });
    const host = '<img src=x onerror="alert(1)">';
    generator.workers[0]?.change({ host, busy: 1, runningJobs: ["<b>job</b>"] });
    const watched = await openPage(t, browser, meter.url, { hash: `#${encodeURIComponent("<img src=x>")}` });
    await watched.page.getByText("No worker or manager has named pool <img src=x>").waitFor();
    await watched.page.locator("#pools").getByRole("link", { name: /evil/ }).click();
    await watched.rowSays("w0", host);
    await watched.rowSays("w0", "<b>job</b>");
    assert.equal(await watched.page.locator("main img, main b, main script").count(), 0);
    assert.deepEqual([watched.complaints, watched.foreign], [[], []]);
  });

  test("the page comes back by itself after its meter was restarted", async (t) => {
    const first = await startMeter(t);
    const port = Number(new URL(first.url).port);
    await startBeats(t, { pool: "back", intervalMs: 300 });
    const watched = await openPage(t, browser, first.url, { hash: "#back" });
    await watched.connectionSays("live");
    await first.stop();
    await watched.page.getByText(/cannot be reached/).waitFor();
    await watched.rowIs("w0", "ready");
    await startBeats(t, { pool: "back-two", intervalMs: 300 });
    await startMeter(t, { listen: { host: "127.0.0.1", port } });
    await watched.connectionSays("live");
    await watched.page
      .locator("#pools")
      .getByRole("link", { name: /back-two/ })
      .waitFor();
    await watched.page.locator("#notice").waitFor({ state: "hidden" });
    // A meter that is leaving, or that has no broker yet, says so, and the browser writes it down.
    const others = watched.complaints.filter((text) => !text.includes("503 (Service Unavailable)"));
    assert.deepEqual([others, watched.foreign], [[], []]);
  });

  test("a meter that is cut off from its broker is shown as stale, with an age, and its workers stay", async (t) => {
    const own = await startBroker(t);
    const meter = await startMeter(t, { bus: { servers: own.url } });
    const generator = new HeartbeatGenerator(await connectBus(t, own), { pool: "cut" });
    cleanUp(t, () => generator.stop());
    generator.start();
    const watched = await openPage(t, browser, meter.url, { hash: "#cut" });
    await watched.rowIs("w0", "ready");
    generator.stop();
    await own.stop();
    await watched.connectionSays(/stale for \d+ s/);
    await watched.page.getByText(/cut off from the broker/).waitFor();
    await watched.rowIs("w0", "ready");
  });

  test("an empty meter says how to start a worker, and fills when one comes", async (t) => {
    const own = await startBroker(t);
    const meter = await startMeter(t, { bus: { servers: own.url } });
    const watched = await openPage(t, browser, meter.url);
    await watched.page.getByText("No workers yet").waitFor();
    await startWorker(t, own, { pool: "adder", run: () => 1 });
    await watched.rowIs("w1", "ready");
    await watched.page.getByText("No workers yet").waitFor({ state: "hidden" });
  });

  test("without control there is no button, with it a worker is paused after a confirmation and the right token", async (t) => {
    const { pool, worker } = await startWorker(t, broker, { run: () => 1 });
    const readOnly = await openPage(t, browser, (await startMeter(t)).url, { hash: `#${pool}` });
    await readOnly.rowIs("w1", "ready");
    assert.equal(await readOnly.page.getByRole("button", { name: /Pause/ }).count(), 0);

    const meter = await startMeter(t, { control: true, controlToken: "open-sesame" });
    const watched = await openPage(t, browser, meter.url, { hash: `#${pool}` });
    await watched.page.getByRole("button", { name: "Pause w1" }).click();
    const dialog = watched.page.getByRole("dialog", { name: "Pause w1?" });
    await dialog.getByLabel("Control token").fill("wrong");
    await dialog.getByRole("button", { name: "Pause" }).click();
    await dialog.getByText("does not accept this token").waitFor();
    assert.equal(worker.workerState, 2);
    await dialog.getByLabel("Control token").fill("open-sesame");
    await watched.page.keyboard.press("Enter");
    await dialog.waitFor({ state: "hidden" });
    await watched.rowIs("w1", "paused");
    await watched.page.getByRole("button", { name: "Drain w1" }).click();
    const second = watched.page.getByRole("dialog", { name: "Drain w1?" });
    await second.getByRole("button", { name: "Cancel" }).click();
    await watched.page.getByRole("button", { name: "Resume w1" }).click();
    const third = watched.page.getByRole("dialog", { name: "Resume w1?" });
    assert.equal(await third.getByLabel("Control token").isVisible(), false);
    await third.getByRole("button", { name: "Resume" }).click();
    await watched.rowIs("w1", "ready");
  });

  test("a meter with TLS and a policy shows nothing until a token is typed, and the page keeps it in memory only", async (t) => {
    const files = await makePolicy(t);
    const token = files.token("reader", "operator", ["*"]);
    const viewer = files.token("viewer", "viewer", ["*"]);
    files.write([]);
    const { pool, worker } = await startWorker(t, broker, { run: () => 1 });
    const { cert: tlsCertFile, key: tlsKeyFile } = makeCertificates(t).server;
    const meter = await startMeter(t, { policyFile: files.file, control: true, tlsCertFile, tlsKeyFile });
    assert.match(meter.url, /^https:/);
    const { page } = await openPage(t, browser, meter.url, { hash: `#${pool}` });
    const dialog = page.getByRole("dialog", { name: "This meter asks for a token" });
    await dialog.waitFor();
    assert.equal(await page.getByRole("row").count(), 0);
    await dialog.getByLabel("Token").fill("pm_wrong");
    await page.keyboard.press("Enter");
    await dialog.getByText("The meter does not accept this token").waitFor();
    if (process.env.PAGE_SHOT !== undefined) await page.screenshot({ path: process.env.PAGE_SHOT });
    await dialog.getByLabel("Token").fill(viewer);
    await page.keyboard.press("Enter");
    await dialog.waitFor({ state: "hidden" });
    await page.getByRole("button", { name: "Pause w1" }).click();
    const mayNot = page.getByRole("dialog", { name: "Pause w1?" });
    await mayNot.getByRole("button", { name: "Pause" }).click();
    await mayNot.getByText("This token does not do: token:viewer may not control workers in any pool.").waitFor();
    assert.equal(worker.workerState, 2);
    await mayNot.getByLabel("Control token").fill("pm_wrong");
    await page.keyboard.press("Enter");
    await mayNot.getByText("The meter does not accept this token").waitFor();
    assert.equal(await mayNot.getByLabel("Control token").isVisible(), true);
    await page.keyboard.press("Escape");
    files.revoke("viewer");
    await dialog.getByText(/The meter does not accept this token/).waitFor();
    await dialog.getByLabel("Token").fill(token);
    await page.keyboard.press("Enter");
    await dialog.waitFor({ state: "hidden" });
    await page.getByRole("row").filter({ hasText: "w1" }).waitFor();
    await page.getByRole("button", { name: "Pause w1" }).click();
    const pause = page.getByRole("dialog", { name: "Pause w1?" });
    assert.equal(await pause.getByLabel("Control token").isVisible(), false);
    await pause.getByRole("button", { name: "Pause" }).click();
    await eventually(() => worker.workerState === 3);
    const kept = await page.evaluate(
      "JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }, location.href])",
    );
    assert.ok(!String(kept).includes(token.slice(3)));
    await page.reload();
    await dialog.waitFor();
  });

  test("the keyboard filters and sorts, and a chosen pool is in the address", async (t) => {
    const meter = await startMeter(t);
    await startBeats(t, { pool: "keys", workers: 12 });
    const { page } = await openPage(t, browser, meter.url);
    await page.locator("#pools").getByRole("link", { name: /keys/ }).press("Enter");
    await page.getByRole("heading", { name: "keys" }).waitFor();
    assert.equal(new URL(page.url()).hash, "#/pool/keys");
    await page.getByRole("rowheader", { name: "w11" }).waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("w1");
    await page.locator(".shown").filter({ hasText: "3 of 12" }).waitFor();
    await page.keyboard.press("Escape");
    await page.locator(".shown").filter({ hasText: /^12$/ }).waitFor();
    const sort = page.getByRole("button", { name: "Worker" });
    await sort.press("Enter");
    await sort.press("Enter");
    await page.locator("th[aria-sort=descending]").waitFor();
    await page.locator("tbody tr.worker").first().filter({ hasText: "w11" }).waitFor();
  });

  test("light and dark are both there", async (t) => {
    const meter = await startMeter(t);
    const grounds = [];
    for (const colorScheme of ["light", "dark"] as const) {
      const { page, complaints } = await openPage(t, browser, meter.url, { colorScheme });
      grounds.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
      assert.deepEqual(complaints, []);
    }
    assert.notEqual(grounds[0], grounds[1]);
  });

  test("gRPC-Web from the page's origin hears WorkerStatus", async (t) => {
    const meter = await startMeter(t);
    const { page } = await openPage(t, browser, meter.url);
    const frame = await page.evaluate(async () => {
      const response = await fetch("/solpipe.WorkerStatus/OnStatus", {
        method: "POST",
        headers: { "content-type": "application/grpc-web+proto", "x-grpc-web": "1", pool: "nobody" },
        body: new Uint8Array(5),
      });
      const reader = response.body?.getReader();
      const chunk = await reader?.read();
      await reader?.cancel();
      return [...(chunk?.value ?? [])];
    });
    assert.deepEqual(frame.slice(0, 10), [0, 0, 0, 0, 5, 0x0d, 0x00, 0x00, 0x80, 0x3f]);
  });
});
