import assert from "node:assert/strict";
import { test } from "node:test";
import { ABORT_GRACE_MS, EndableStream, untilAborted } from "../../../mesh/http/endable.js";

const REASON = new Error("stopping");
const asIs = (error: unknown): Error => error as Error;

function never(): Promise<never> {
  return new Promise(() => {});
}

async function* counting(seen: { left: boolean }) {
  try {
    for (let i = 1; ; i += 1) yield i;
  } finally {
    seen.left = true;
  }
}

async function* silent() {
  yield await never();
}

async function* failing() {
  yield 1;
  throw new Error("own");
}

async function* short() {
  yield 1;
}

test("work that settles is not touched, whether its signal fires later or not", async () => {
  const stop = new AbortController();
  assert.equal(await untilAborted(Promise.resolve(1), stop.signal), 1);
  await assert.rejects(untilAborted(Promise.reject(new Error("own")), stop.signal), /own/);
  stop.abort(REASON);
});

test("work that ends in the moment after its signal keeps its own answer", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const stop = new AbortController();
  let end: (value: number) => void = () => {};
  const work = untilAborted(new Promise<number>((resolve) => (end = resolve)), stop.signal);
  stop.abort(REASON);
  t.mock.timers.tick(ABORT_GRACE_MS - 1);
  end(7);
  assert.equal(await work, 7);
});

test("work that does not listen ends as the abort reason", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const stop = new AbortController();
  const early = untilAborted(never(), stop.signal);
  stop.abort(REASON);
  const late = untilAborted(never(), stop.signal);
  t.mock.timers.tick(ABORT_GRACE_MS);
  await assert.rejects(early, REASON);
  await assert.rejects(late, REASON);
});

test("a stream without an abort is as it is", async () => {
  const seen: number[] = [];
  for await (const each of new EndableStream(short(), new AbortController().signal, asIs)) seen.push(each);
  assert.deepEqual(seen, [1]);
  const failed = new EndableStream(failing(), new AbortController().signal, () => new Error("translated"));
  await failed.next();
  await assert.rejects(failed.next(), /translated/);
});

test("a stream that returns once aborted ends as the abort reason", async () => {
  const stop = new AbortController();
  const stream = new EndableStream(short(), stop.signal, asIs);
  await stream.next();
  stop.abort(REASON);
  await assert.rejects(stream.next(), REASON);
});

test("a stream whose source waits for ever ends a moment after its signal", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const stop = new AbortController();
  const stream = new EndableStream(silent(), stop.signal, asIs);
  const next = stream.next();
  stop.abort(REASON);
  t.mock.timers.tick(ABORT_GRACE_MS);
  await assert.rejects(next, REASON);
  await assert.rejects(stream.next(), REASON);
});

test("a stream whose source never ends by itself is left a moment after its signal", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const stop = new AbortController();
  const seen = { left: false };
  const stream = new EndableStream(counting(seen), stop.signal, asIs);
  await stream.next();
  stop.abort(REASON);
  assert.deepEqual(await stream.next(), { done: false, value: 2 });
  t.mock.timers.tick(ABORT_GRACE_MS);
  await assert.rejects(stream.next(), REASON);
  assert.ok(seen.left);
});

test("a reader that returns or throws leaves the source", async () => {
  for (const way of ["return", "throw"] as const) {
    const seen = { left: false };
    const stream = new EndableStream(counting(seen), new AbortController().signal, asIs);
    await stream.next();
    if (way === "return") assert.equal((await stream.return()).done, true);
    else await assert.rejects(stream.throw(REASON), REASON);
    assert.ok(seen.left, way);
  }
});
