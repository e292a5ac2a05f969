/** testJob: a handler is run as a worker runs it. */
import assert from "node:assert/strict";
import { describe, mock, test } from "node:test";
import { z } from "zod";
import { PermanentError } from "../../../mesh/errors.js";
import { definePool } from "../../../mesh/job/pool-definition.js";
import type { Job } from "../../../services/worker/worker.js";
import { testJob } from "../../../testing.js";

test("testJob - a result comes back as a caller gets it, with the progress before it", async () => {
  const run = (job: Job<{ n: number }>): { twice: number; at: Date } => {
    job.progress({ half: job.payload.n });
    return { twice: job.payload.n * 2, at: new Date(0) };
  };
  const { value, error, progress, log, stuck, payload } = await testJob(run, { n: 21 });
  assert.deepEqual(value, { twice: 42, at: "1970-01-01T00:00:00.000Z" });
  assert.deepEqual([error, progress, log, stuck], [undefined, [{ half: 21 }], [], false]);
  assert.ok(payload !== undefined && payload.length > 0);
});

test("testJob - the job has the fields that a test gives, and defaults for the others", async () => {
  const run = ({ id, pool, worker, attempt, lane, maxAttempts, traceparent, timeLeftMs, bytes }: Job): unknown => ({
    ...{ pool, worker, attempt, lane, maxAttempts, traceparent, hasId: id !== "" },
    ...{ inTime: timeLeftMs > 0 && timeLeftMs <= 500, size: bytes.length },
  });
  const defaults = await testJob(run, "text", { timeoutMs: 500 });
  assert.deepEqual(defaults.value, {
    pool: "test",
    worker: "test-worker",
    attempt: 1,
    lane: "core",
    hasId: true,
    inTime: true,
    size: 6,
  });
  const given = { pool: "p", worker: "w", attempt: 3, maxAttempts: 4, traceparent: "00-a", timeoutMs: 500 };
  assert.deepEqual((await testJob(run, Buffer.from("1"), given)).value, {
    ...{ pool: "p", worker: "w", attempt: 3, lane: "durable", maxAttempts: 4, traceparent: "00-a" },
    ...{ hasId: true, inTime: true, size: 1 },
  });
});

test("testJob - what a handler throws or must not return is the error that a caller hears, and a line of the log", async () => {
  const table: readonly [() => unknown, string, string][] = [
    [() => assert.fail("no"), "job_failed", "no"],
    [() => Promise.reject(new PermanentError("never")), "job_rejected", "never"],
    [
      () => new Map(),
      "job_failed",
      "result: a Map has no JSON form: make it an array or a plain object, or use a codec of your own",
    ],
  ];
  for (const [run, reason, message] of table) {
    const { value, error, log } = await testJob(run, 1);
    assert.deepEqual([value, error?.reason, error?.message], [undefined, reason, message]);
    assert.deepEqual(
      log.map((line) => [line.reason, line.error, line.attempt]),
      [[reason, message, 1]],
    );
  }
});

test("testJob - a payload that the codec refuses never reaches the handler", async () => {
  const run = mock.fn(() => 1);
  const { error } = await testJob(run, Buffer.from("{"));
  assert.deepEqual([error?.reason, run.mock.callCount()], ["invalid_argument", 0]);
});

describe("testJob - the end of a job before its handler's", () => {
  const waits = (job: Job): Promise<never> =>
    new Promise((_, reject) => job.signal.addEventListener("abort", () => reject(job.signal.reason)));

  test("a signal cancels it", async () => {
    const abort = new AbortController();
    const tested = testJob(waits, 1, { signal: abort.signal });
    setImmediate(() => abort.abort());
    const { error, log, stuck } = await tested;
    assert.deepEqual([error?.reason, log.length, stuck], ["canceled", 1, false]);
  });

  test("one that is canceled before it begins never begins", async () => {
    const run = mock.fn(() => 1);
    const { error } = await testJob(run, 1, { signal: AbortSignal.abort() });
    assert.deepEqual([error?.reason, run.mock.callCount()], ["canceled", 0]);
  });

  test("its deadline ends it, and a handler that ignores that is stuck", async () => {
    const late = await testJob(waits, 1, { timeoutMs: 1 });
    assert.deepEqual([late.error?.reason, late.stuck], ["deadline_exceeded", false]);
    const ignores = (): Promise<never> => new Promise(() => undefined);
    const stuck = await testJob(ignores, 1, { timeoutMs: 1, abortGraceMs: 1 });
    assert.deepEqual([stuck.error?.reason, stuck.stuck], ["deadline_exceeded", true]);
  });

  test("a result and progress that come after it do not count", async () => {
    const abort = new AbortController();
    const run = async (job: Job): Promise<number> => {
      job.progress("before");
      abort.abort();
      job.progress("after");
      return 1;
    };
    const { error, value, progress } = await testJob(run, 1, { signal: abort.signal });
    assert.deepEqual([error?.reason, value, progress], ["canceled", undefined, ["before"]]);
  });
});

test("testJob - a whole handler file is tested by its exports: setup, teardown, codec, middleware", async () => {
  const steps: string[] = [];
  const handler = {
    codec: "text",
    middleware: [async (_: Job, next: () => Promise<unknown>): Promise<unknown> => `${await next()}!`],
    setup: ({ pool }: { pool: string }): void => void steps.push(`setup ${pool}`),
    run: (job: Job<string>): string => {
      steps.push("run");
      return job.payload.toUpperCase();
    },
    teardown: (): void => void steps.push("teardown"),
  };
  const { value } = await testJob<string, string>(handler, "loud", { pool: "p" });
  assert.equal(value, "LOUD!");
  assert.deepEqual(steps, ["setup p", "run", "teardown"]);
  const failing = { ...handler, teardown: () => assert.fail("no") };
  await assert.rejects(testJob(failing, "x"), /teardown failed: no/);
});

describe("testJob - a typed pool", () => {
  const pool = definePool({
    name: "typed",
    input: z.object({ n: z.number().default(5) }),
    output: z.object({ at: z.coerce.date() }),
  });

  test("the handler gets the checked payload, and the test the checked result", async () => {
    const { value } = await testJob(({ payload }) => ({ at: payload.n }), {}, { pool });
    assert.deepEqual(value, { at: new Date(5) });
    const exported = await testJob(
      { pool, run: ({ payload }: Job<{ n: number }>) => ({ at: payload.n }) },
      {},
      { pool },
    );
    assert.deepEqual(exported.value, { at: new Date(5) });
  });

  test("a payload or a result that does not fit is the error that a caller hears from the worker", async () => {
    const input = await testJob(() => ({ at: 1 }), { n: "x" } as never, { pool });
    assert.deepEqual([input.error?.reason, input.error?.jobCode], ["invalid_argument", "schema.input"]);
    const output = await testJob(() => ({}) as never, {}, { pool });
    assert.deepEqual([output.error?.reason, output.error?.jobCode], ["job_failed", "schema.output"]);
    assert.equal(output.log[0]?.error, "result: does not fit at .at");
  });
});
