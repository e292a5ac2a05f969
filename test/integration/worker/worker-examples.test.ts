/** The example handlers do what they say, where they say it. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { startBroker, WHOLE_FILE } from "../../support/broker.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startWorker } from "../../support/started-worker.js";

leakGuard();
const broker = await startBroker(WHOLE_FILE);
const EXAMPLES = new URL("../../../examples/handlers/", import.meta.url).pathname;

describe("worker examples", () => {
  test("adder adds one, and rejects for good what is no number", async (t) => {
    const { caller } = await startWorker(t, broker, { handlerFile: `${EXAMPLES}adder.ts` });
    assert.equal((await caller.sendPlain("41").outcome()).text, "42");
    assert.equal((await caller.sendPlain('"a"').outcome()).error?.reason, "job_rejected");
  });

  test("lookup answers from the table that its setup has loaded, and gives a code for what it does not know", async (t) => {
    for (const isolation of ["inline", "thread", "process"] as const) {
      const { caller } = await startWorker(t, broker, { handlerFile: `${EXAMPLES}lookup.ts`, isolation });
      assert.equal((await caller.sendPlain('"one"').outcome()).text, '"uno"');
      const { error } = await caller.sendPlain('"ten"').outcome();
      assert.deepEqual([error?.reason, error?.jobCode], ["job_failed", "word.unknown"]);
    }
  });

  test("digest gives SHA-256, size and gzip size of a file, from a thread", async (t) => {
    const { caller } = await startWorker(t, broker, { handlerFile: `${EXAMPLES}digest.ts`, isolation: "thread" });
    const file = `${EXAMPLES}digest.ts`;
    const content = await readFile(file);
    const digest = JSON.parse((await caller.sendPlain(JSON.stringify(file)).outcome()).text);
    const sha256 = createHash("sha256").update(content).digest("hex");
    assert.deepEqual([digest.bytes, digest.sha256], [content.length, sha256]);
    assert.equal(digest.gzipBytes, gzipSync(content).length);
    const missing = await caller.sendPlain('"nowhere.txt"').outcome();
    assert.equal(missing.text, "job_failed: the file cannot be read (ENOENT)");
  });

  test("slow reports progress in quarters and stops when it is canceled", async (t) => {
    const { caller, worker } = await startWorker(t, broker, {
      handlerFile: `${EXAMPLES}slow.ts`,
      isolation: "process",
    });
    const sent = caller.send("20", { jobId: "quick" });
    assert.equal((await sent.outcome()).text, '{"waitedMs":20}');
    const percents = sent.replies.filter((each) => each.kind === "progress").map((each) => each.text);
    assert.deepEqual(percents, ['{"percent":25}', '{"percent":50}', '{"percent":75}', '{"percent":100}']);
    const long = caller.send("60000", { jobId: "long" });
    await long.first("accepted");
    caller.cancel("long");
    assert.equal((await long.outcome()).error?.reason, "canceled");
    await worker.drain();
  });

  test("flaky fails as often as it is told", async (t) => {
    const { caller } = await startWorker(t, broker, { handlerFile: `${EXAMPLES}flaky.ts` });
    assert.equal((await caller.sendPlain("0").outcome()).text, '{"attempt":1}');
    assert.equal((await caller.sendPlain("1").outcome()).error?.reason, "job_failed");
  });
});
