/** What is said of a setup() that fails or does not end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { json } from "../../../mesh/job/codec.js";
import { InlineRunner } from "../../../services/worker/handlers/inline-runner.js";

function rig(setup: () => Promise<void>): { runner: InlineRunner; teardowns: string[]; left: string[] } {
  const [teardowns, left]: [string[], string[]] = [[], []];
  const runner = new InlineRunner({
    load: () => Promise.resolve({ run: () => 1, codecs: { input: json, output: json }, setup }),
    context: { pool: "p", worker: "w", slots: 1, isolation: "inline" },
    loadTimeoutMs: 50,
    graceMs: 10,
    onStartLeft: ({ message }) => left.push(message),
    report: () => undefined,
    onTeardownFailed: ({ message }) => teardowns.push(message),
  });
  return { runner, teardowns, left };
}

test("setup - one that does not end is told as such, and no teardown is blamed", async () => {
  const { runner, teardowns } = rig(() => new Promise(() => undefined));
  await assert.rejects(runner.start(), /setup\(\) does not end/);
  await runner.stop();
  assert.deepEqual(teardowns, []);
});

test("setup - one that still runs when the worker stops is left after the grace, and told as that", async () => {
  let begun = (): void => {};
  const beginning = new Promise<void>((resolve) => (begun = resolve));
  const { runner, teardowns, left } = rig(() => {
    begun();
    return new Promise(() => undefined);
  });
  const started = runner.start().catch((error: Error) => error.message);
  await beginning;
  await runner.stop();
  assert.match(
    String(await started),
    /^handler: setup\(\) still ran when the worker stopped, and was left after 10 ms/,
  );
  assert.deepEqual([left.length, teardowns.length], [1, 0]);
});

test("setup - one that throws is told with its causes and with file and line", async () => {
  const { runner } = rig(() => Promise.reject(new Error("db down", { cause: new Error("ECONN") })));
  await assert.rejects(
    runner.start(),
    /setup\(\) failed: db down \(cause: ECONN\) \(at .*handler-setup\.test\.[jt]s:\d+:\d+\)$/,
  );
});
