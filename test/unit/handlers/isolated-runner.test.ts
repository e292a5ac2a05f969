/** Which thread or child runs a job, when one is started, replaced and ended: with ones that a test plays. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PoolError } from "../../../mesh/errors.js";
import type { Channel, ChannelEvents, ChannelKind } from "../../../services/worker/handlers/isolated/channel.js";
import {
  IsolatedRunner,
  type IsolatedRunnerOptions,
} from "../../../services/worker/handlers/isolated/isolated-runner.js";
import type { FromHost, ToHost } from "../../../services/worker/handlers/isolated/wire.js";
import type { Call, HandlerOutcome } from "../../../services/worker/handlers/runner.js";
import { eventually, settled, within } from "../../support/wait.js";

/** One thread that a test plays. */
class PlayedThread implements Channel {
  readonly heard: ToHost[] = [];
  ended = false;
  readonly #events: ChannelEvents;
  /** Whether it answers that it stops. */
  polite = true;

  constructor(events: ChannelEvents) {
    this.#events = events;
  }

  send(message: ToHost): void {
    this.heard.push(message);
    if (message.say !== "stop" || !this.polite) return;
    this.say({ say: "stopping" });
    this.say({ say: "stopped", thrown: undefined });
  }

  say(message: FromHost): void {
    this.#events.onMessage(message);
  }

  load(): void {
    this.say({ say: "loaded", error: undefined });
  }

  refuse(message: string): void {
    this.say({ say: "loaded", error: { reason: "invalid_argument", message, field: "handler", jobCode: undefined } });
  }

  answer(): void {
    const run = this.heard.filter((each) => each.say === "run").at(-1);
    assert.ok(run !== undefined);
    this.say({ say: "answer", call: run.wire.call, outcome: { ok: true, payload: new Uint8Array() } });
  }

  release(): void {
    this.end("exited with code 0");
  }

  kill(): void {
    this.end("was ended");
  }

  end(how: string): void {
    if (this.ended) return;
    this.ended = true;
    this.#events.onGone(how);
  }
}

interface Rig {
  readonly runner: IsolatedRunner;
  readonly threads: PlayedThread[];
  readonly usable: number[];
  readonly reported: string[];
}

function rig(options: Partial<IsolatedRunnerOptions> = {}): Rig {
  const threads: PlayedThread[] = [];
  const [usable, reported]: [number[], string[]] = [[], []];
  const open = (events: ChannelEvents): Channel => {
    const thread = new PlayedThread(events);
    threads.push(thread);
    return thread;
  };
  const runner = new IsolatedRunner({
    kind: { name: "thread", open } satisfies ChannelKind,
    source: { file: "f", codec: undefined, context: { pool: "p", worker: "w", slots: 2, isolation: "thread" } },
    ...{ slots: 2, abortGraceMs: 50, loadTimeoutMs: 10_000, graceMs: 10_000, recycleAfter: undefined },
    report: (call, { error }) => reported.push(`${call.id} ${error.reason}`),
    onTeardownFailed: (thrown) => reported.push(thrown.message),
    onStartLeft: (error) => reported.push(error.message),
    onDiedIdle: (what, thrown) => reported.push(`${what} ${thrown?.stack}`),
    onBroken: (error) => reported.push(error.message),
    onUsable: (slots) => usable.push(slots),
    ...options,
  });
  return { runner, threads, usable, reported };
}

function makeCall(id: string): { call: Call; endings: HandlerOutcome[]; abort: (error: PoolError) => void } {
  const endings: HandlerOutcome[] = [];
  const controller = new AbortController();
  const call: Call = {
    ...{
      id,
      pool: "p",
      worker: "w",
      attempt: 1,
      attemptNumber: 1,
      lane: "core",
      maxAttempts: undefined,
      bytes: new Uint8Array(),
      traceparent: undefined,
      tracestate: undefined,
    },
    deadlineAtMs: performance.now() + 60_000,
    signal: controller.signal,
    progress: () => undefined,
    end: (outcome) => endings.push(outcome),
  };
  return { call, endings, abort: (error) => controller.abort(error) };
}

async function started(options: Partial<IsolatedRunnerOptions> = {}): Promise<Rig & { first: PlayedThread }> {
  const made = rig(options);
  const starting = made.runner.start();
  const [first] = made.threads as [PlayedThread];
  first.load();
  await starting;
  return { ...made, first };
}

const canceled = new PoolError("canceled", "no more");

describe("isolated runner", () => {
  test("one that dies while it runs no job is told with what it threw, and no job is blamed", async () => {
    const { runner, threads, reported } = rig();
    const started = runner.start();
    threads[0]?.load();
    await started;
    const first = makeCall("a");
    runner.run(first.call);
    threads[0]?.answer();
    const thrown = { permanent: false, message: "late", code: undefined, stack: "Error: late", cause: undefined };
    threads[0]?.say({ say: "uncaught", thrown });
    threads[0]?.end("exited with code 1");
    assert.deepEqual(reported, ["the handler's thread exited with code 1: late Error: late"]);
    const next = makeCall("b");
    runner.run(next.call);
    threads.at(-1)?.load();
    threads.at(-1)?.answer();
    assert.deepEqual([first.endings[0]?.ok, next.endings[0]?.ok], [true, true]);
    await runner.stop();
  });

  test("a job that has not begun when what an earlier one left behind ends its thread runs in another", async () => {
    const { runner, threads, reported, first } = await started();
    const thrown = { permanent: false, message: "late", code: undefined, stack: "Error: late", cause: undefined };
    const [innocent, begun, given] = [makeCall("a"), makeCall("b"), makeCall("c")];
    runner.run(makeCall("earlier").call);
    first.answer();
    runner.run(innocent.call);
    first.say({ say: "uncaught", thrown, idle: true });
    first.end("exited with code 1");
    threads[1]?.load();
    threads[1]?.answer();
    assert.deepEqual([innocent.endings.length, innocent.endings[0]?.ok], [1, true]);
    assert.deepEqual(reported, ["the handler's thread exited with code 1: late Error: late"]);
    runner.run(begun.call);
    threads[1]?.say({ say: "uncaught", thrown, idle: false });
    threads[1]?.end("exited with code 1");
    assert.equal(begun.endings[0]?.ok, false);
    threads[2]?.load();
    runner.run(given.call);
    given.abort(canceled);
    threads[2]?.say({ say: "uncaught", thrown, idle: true });
    threads[2]?.end("exited with code 1");
    assert.deepEqual([given.endings.length, given.endings[0]?.ok], [1, false]);
    await runner.stop();
  });

  test("start() waits for the first and rejects with what it says; a stop meanwhile ends it", async () => {
    const { runner, threads } = rig();
    const starting = runner.start();
    assert.equal(await settled(starting), "pending");
    threads[0]?.refuse("handler: no");
    await assert.rejects(starting, { message: "handler: no", reason: "invalid_argument" });
    const stopped = rig();
    const never = stopped.runner.start();
    const refused = assert.rejects(never, { reason: "canceled" });
    await stopped.runner.stop();
    await refused;
    assert.equal(stopped.threads[0]?.ended, true);
  });

  test("one is started when no other is idle, up to the slots, and the one used last is used again", async () => {
    const { runner, threads, first } = await started();
    const [a, b, c] = ["a", "b", "c"].map(makeCall) as [
      ReturnType<typeof makeCall>,
      ReturnType<typeof makeCall>,
      ReturnType<typeof makeCall>,
    ];
    runner.run(a.call);
    runner.run(b.call);
    assert.equal(threads.length, 2);
    first.answer();
    assert.equal(a.endings.length, 1);
    // b waits for the second, and the first is free before that
    assert.equal(first.heard.filter((each) => each.say === "run").length, 2);
    first.answer();
    threads[1]?.load();
    runner.run(c.call);
    assert.equal(threads.length, 2);
    assert.deepEqual([b.endings.length, c.endings.length], [1, 0]);
    await runner.stop();
  });

  test("a job that is aborted while it waits for one to load has not begun", async () => {
    const { runner, threads, reported } = await started();
    const [a, b] = ["a", "b"].map(makeCall) as [ReturnType<typeof makeCall>, ReturnType<typeof makeCall>];
    runner.run(a.call);
    runner.run(b.call);
    b.abort(canceled);
    assert.deepEqual(b.endings, [{ ok: false, error: canceled }]);
    threads[1]?.load();
    assert.ok(threads[1]?.heard.every((each) => each.say !== "run"));
    assert.deepEqual(reported, ["b canceled"]);
    await runner.stop();
  });

  test("while none can be loaded one that works is neither recycled nor given up, and its jobs run", async () => {
    const { runner, threads, first, usable } = await started({ recycleAfter: 2 });
    const calls = ["a", "b", "c", "d"].map(makeCall);
    runner.run(calls[0]?.call as Call);
    runner.run(calls[1]?.call as Call);
    threads[1]?.refuse("handler: no");
    assert.deepEqual(usable, [1]);
    first.answer();
    first.answer();
    for (const { call } of calls.slice(2)) {
      runner.run(call);
      first.answer();
    }
    assert.ok(calls.every(({ endings }) => endings.length === 1 && endings[0]?.ok));
    await eventually(() => threads.length === 3);
    threads[2]?.load();
    assert.deepEqual(usable, [1, Number.POSITIVE_INFINITY]);
    await runner.stop();
  });

  test("those that are not needed are ended after their time, all but one", async () => {
    const { runner, threads, first } = await started({ idleMs: 20 });
    const [a, b] = ["a", "b"].map(makeCall) as [ReturnType<typeof makeCall>, ReturnType<typeof makeCall>];
    runner.run(a.call);
    runner.run(b.call);
    threads[1]?.load();
    first.answer();
    threads[1]?.answer();
    await eventually(() => first.ended);
    assert.equal(threads[1]?.ended, false);
    await runner.stop();
  });

  test("a smaller number of slots ends the idle at once and the busy after their job", async () => {
    const { runner, threads, first } = await started();
    runner.run(makeCall("a").call);
    runner.run(makeCall("b").call);
    threads[1]?.load();
    runner.resize(1);
    assert.deepEqual([first.ended, threads[1]?.ended], [false, false]);
    first.answer();
    assert.deepEqual([first.ended, threads[1]?.ended], [true, false]);
    await runner.stop();
  });

  test("one that ignores an abort is ended after the grace; one that does not answer a stop, too", async () => {
    const { runner, threads, first, reported } = await started();
    const { call, endings, abort } = makeCall("a");
    runner.run(call);
    abort(canceled);
    await eventually(() => endings.length === 1);
    assert.equal(first.ended, true);
    assert.deepEqual(reported, ["a job_failed"]);
    threads[1]?.load();
    (threads[1] as PlayedThread).polite = false;
    await within(runner.stop());
    assert.equal(threads[1]?.ended, true);
  });

  test("messages that come too late, or that nobody asked for, change nothing", async () => {
    const { runner, first } = await started();
    const { call, endings } = makeCall("a");
    runner.run(call);
    first.say({ say: "answer", call: 99, outcome: { ok: true, payload: new Uint8Array() } });
    first.say({ say: "loaded", error: undefined });
    first.say({ say: "stopped", thrown: undefined });
    assert.equal(endings.length, 0);
    first.answer();
    first.say({ say: "answer", call: 1, outcome: { ok: true, payload: new Uint8Array() } });
    assert.equal(endings.length, 1);
    await runner.stop();
    await runner.stop();
  });
});
