/** What is said of a setup() that fails or does not end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { json } from "../../../mesh/job/codec.js";
import { InlineRunner } from "../../../services/worker/handlers/inline-runner.js";

function rig(setup: () => Promise<void>): { runner: InlineRunner; teardowns: string[] } {
  const teardowns: string[] = [];
  const runner = new InlineRunner({
    load: () => Promise.resolve({ run: () => 1, codecs: { input: json, output: json }, setup }),
    context: { pool: "p", worker: "w", slots: 1, isolation: "inline" },
    loadTimeoutMs: 50,
    report: () => undefined,
    onTeardownFailed: ({ message }) => teardowns.push(message),
  });
  return { runner, teardowns };
}

test("setup - one that does not end is told as such, and no teardown is blamed", async () => {
  const { runner, teardowns } = rig(() => new Promise(() => undefined));
  await assert.rejects(runner.start(), /setup\(\) does not end/);
  await runner.stop();
  assert.deepEqual(teardowns, []);
});

test("setup - one that throws is told with its causes and with file and line", async () => {
  const { runner } = rig(() => Promise.reject(new Error("db down", { cause: new Error("ECONN") })));
  await assert.rejects(
    runner.start(),
    /setup\(\) failed: db down \(cause: ECONN\) \(at .*handler-setup\.test\.[jt]s:\d+:\d+\)$/,
  );
});
