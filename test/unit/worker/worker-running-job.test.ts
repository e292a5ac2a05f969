/** The states of one job, and what a handler's end becomes. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PermanentError, PoolError } from "../../../mesh/errors.js";
import { bytes, json } from "../../../mesh/job/codec.js";
import { type Handler, invoke } from "../../../services/worker/handlers/handler.js";
import type { HandlerOutcome } from "../../../services/worker/handlers/runner.js";
import { PROGRESS_WINDOW, PROGRESS_WINDOW_BYTES } from "../../../services/worker/jobs/progress-flow.js";
import { attemptKey, type JobLedger, RunningJob } from "../../../services/worker/jobs/running-job.js";

function start(): { job: RunningJob; seen: string[]; confirms: (() => void)[] } {
  const seen: string[] = [];
  const confirms: (() => void)[] = [];
  const ledger: JobLedger = {
    now: () => 0,
    progressLimit: 1_000,
    confirm: (then) => void confirms.push(then),
    onProgress: (_, payload) => seen.push(`progress ${payload.length}`),
    onAborted: (_, error) => seen.push(`aborted ${error.reason}`),
    onEnded: (_, outcome, answered) => seen.push(`ended ${outcome.ok ? "ok" : outcome.error.reason} ${answered}`),
  };
  const order = {
    id: "j",
    nonce: "",
    ageMs: 0,
    measured: true,
    startWithinMs: undefined,
    attempt: 1,
    named: true,
    offered: true,
    durable: false,
    maxAttempts: undefined,
    idempotent: false,
    joins: false,
    reply: "_INBOX.a",
    bytes: new TextEncoder().encode("2"),
    deadlineAtMs: 1_000,
    traceparent: undefined,
    tracestate: undefined,
    answerer: { accepted: () => {}, progress: () => {}, end: () => {} },
  };
  return { job: new RunningJob(order, "p", "w", 0, ledger), seen, confirms };
}

const ok: HandlerOutcome = { ok: true, payload: new Uint8Array() };
const canceled = new PoolError("canceled", "no more");

describe("running job", () => {
  test("it ends once, whatever comes after", () => {
    const { job, seen } = start();
    job.progress(new Uint8Array(3));
    job.end(ok);
    job.end({ ok: false, error: canceled });
    job.progress(new Uint8Array(3));
    assert.equal(job.abort(canceled, 5), false);
    assert.deepEqual(seen, ["progress 3", "ended ok false"]);
  });

  test("progress on its way is bounded: the latest value waits, and leaves before the outcome or when there is room", () => {
    const { job, seen, confirms } = start();
    for (let size = 1; size <= 1_000; size += 1) job.progress(new Uint8Array(size));
    const sent = Array.from({ length: PROGRESS_WINDOW }, (_, i) => `progress ${i + 1}`);
    assert.deepEqual(seen, sent);
    assert.equal(confirms.length, 1, "asked once, at half of the room");
    confirms[0]?.();
    assert.deepEqual(seen, [...sent, "progress 1000"]);
    job.progress(new Uint8Array(7));
    job.end(ok);
    assert.deepEqual(seen.slice(sent.length), ["progress 1000", "progress 7", "ended ok false"]);
    confirms[1]?.();
    assert.equal(seen.at(-1), "ended ok false", "nothing comes after the outcome");
  });

  test("progress on its way is bounded in bytes, too, and what waits is the handler's bytes as they were", () => {
    const { job, seen, confirms } = start();
    const big = new Uint8Array(PROGRESS_WINDOW_BYTES / 2);
    const reused = new Uint8Array(9);
    for (const each of [big, big, reused]) job.progress(each);
    assert.deepEqual(seen, [`progress ${big.length}`, `progress ${big.length}`]);
    structuredClone(reused, { transfer: [reused.buffer] });
    confirms[0]?.();
    assert.equal(seen.at(-1), "progress 9");
  });

  test("an abort drops the progress that waits", () => {
    const { job, seen, confirms } = start();
    for (let size = 1; size <= 100; size += 1) job.progress(new Uint8Array(size));
    job.abort(canceled, 5);
    confirms[0]?.();
    job.end(ok);
    assert.deepEqual(seen.slice(PROGRESS_WINDOW), ["aborted canceled", "ended ok true"]);
  });

  test("an abort answers at once, fires the signal with its reason, and the end that follows is not an answer", () => {
    const { job, seen } = start();
    const { signal } = job;
    assert.equal(job.abort(canceled, 5), true);
    assert.equal(job.abort(canceled, 6), false);
    assert.deepEqual([signal.aborted, signal.reason, job.abortedSinceMs, job.running], [true, canceled, 5, false]);
    job.progress(new Uint8Array(1));
    job.end(ok);
    assert.deepEqual(seen, ["aborted canceled", "ended ok true"]);
    assert.equal(job.abortedSinceMs, undefined);
  });

  test("a signal that is asked for after the abort is aborted already", () => {
    const { job } = start();
    job.abort(canceled, 5);
    assert.equal(job.signal.aborted, true);
  });

  test("attempts and submissions have different keys, whatever their ids", () => {
    const key = (id: string, nonce: string, attempt: number): string => attemptKey({ id, nonce, attempt });
    const keys = [
      key("j", "", 1),
      key("j", "", 2),
      key("j", "n", 1),
      key("j", "n", 2),
      key("j1", "", 2),
      key("j", "", 12),
    ];
    assert.equal(new Set(keys).size, keys.length);
  });
});

describe("invoke", () => {
  const codecs = { input: json, output: json };
  async function endingOf(run: Handler, pair = codecs): Promise<string> {
    const { job } = start();
    const ended = new Promise<HandlerOutcome>((resolve) => {
      job.end = resolve;
    });
    invoke({ run, codecs: pair }, job);
    const outcome = await ended;
    return outcome.ok ? new TextDecoder().decode(outcome.payload) : `${outcome.error.reason}: ${outcome.error.message}`;
  }

  test("a synchronous handler ends before invoke returns", () => {
    const { job, seen } = start();
    invoke({ run: ({ payload }) => (payload as number) * 2, codecs }, job);
    assert.deepEqual(seen, ["ended ok false"]);
  });

  test("values, promises and thenables are results; undefined is the empty payload", async () => {
    assert.equal(await endingOf(({ payload }) => payload), "2");
    assert.equal(await endingOf(async () => ({ a: 1 })), '{"a":1}');
    assert.equal(await endingOf(() => undefined), "");
  });

  test("what is thrown decides between job_failed and job_rejected", async () => {
    const thrown: [unknown, string][] = [
      [new Error("at /opt/app/x.js:1"), "job_failed: at …"],
      [new TypeError(""), "job_failed: TypeError"],
      [new PermanentError("never"), "job_rejected: never"],
      [new PoolError("pool_full", "inner"), "job_failed: inner"],
      ["text", 'job_failed: the handler threw "text"'],
      [undefined, "job_failed: the handler threw undefined"],
      [{ a: 1 }, 'job_failed: the handler threw {"a":1}'],
    ];
    for (const [value, text] of thrown) {
      const sync: Handler = () => {
        throw value;
      };
      assert.equal(await endingOf(sync), text);
      assert.equal(await endingOf(() => Promise.reject(value)), text);
    }
  });

  test("a result that the codec refuses is job_failed, a payload that it refuses is invalid_argument", async () => {
    assert.equal(
      await endingOf(() => 5, { input: json, output: bytes as never }),
      'job_failed: result: a number is no bytes: use a Uint8Array or a string, or codec "json"',
    );
    const broken = { ...json, decode: () => assert.fail("no") };
    assert.match(await endingOf(() => 5, { input: broken, output: json }), /^invalid_argument: payload/);
  });
});
