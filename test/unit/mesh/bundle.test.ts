import assert from "node:assert/strict";
import { test } from "node:test";
import { Batcher } from "../../../mesh/link/delivery.js";
import { systemRuntime } from "../../../mesh/link/runtime.js";
import { decodeJobHeaders, encodeJobHeaders, HEADER_RESERVE_BYTES } from "../../../mesh/wire/headers.js";
import {
  type BundleEntry,
  decodeBundle,
  encodeBundle,
  encodeJobsHeaders,
  MAX_BUNDLE_ENTRIES,
  mostBytes,
  ownBytes,
} from "../../../mesh/wire/payloads.js";
import { seededRandom } from "../../support/random.js";

function entry(more: Partial<BundleEntry> = {}): BundleEntry {
  return {
    ...{ token: "1_a", id: "job-1", nonce: "", attempt: 1, payload: Buffer.from("payload"), timeoutMs: 30_000 },
    traceparent: undefined,
    tracestate: undefined,
    ...more,
  };
}

function decoded(bytes: Uint8Array): { readonly entries: BundleEntry[]; readonly whole: boolean } {
  const entries: BundleEntry[] = [];
  const whole = decodeBundle(bytes, (each) => entries.push({ ...each, payload: Buffer.from(each.payload) }));
  return { entries, whole };
}

test("bundle - that its jobs are of the durable lane, and only join, is said once, and as for a job that leaves alone", () => {
  const nothing = { sentAt: undefined, clockMs: undefined, startWithinMs: undefined };
  for (const durable of [true, false]) {
    for (const join of [true, false]) {
      const said = { ...(durable && { durable }), ...(join && { join }) };
      assert.deepEqual(decodeJobHeaders(encodeJobsHeaders(2, { ...nothing, durable, join })), said);
      assert.deepEqual(decodeJobHeaders(encodeJobHeaders({ durable, join })), said);
    }
  }
});

test("bundle - what goes in comes out, whatever it is", () => {
  const random = seededRandom(11);
  const text = (length: number): string =>
    Array.from({ length }, () => Math.floor(random() * 36).toString(36)).join("");
  for (let round = 0; round < 200; round += 1) {
    const entries = Array.from({ length: Math.floor(random() * 70) }, () =>
      entry({
        token: text(1 + Math.floor(random() * 20)),
        id: text(1 + Math.floor(random() * 63)),
        attempt: 1 + Math.floor(random() * 1_000_000),
        timeoutMs: Math.ceil(random() * 2_147_483_647),
        payload: Buffer.from(Array.from({ length: Math.floor(random() * 50) }, () => Math.floor(random() * 256))),
        traceparent: random() < 0.3 ? `00-${text(32)}-${text(16)}-01` : undefined,
        tracestate: random() < 0.3 ? "vendor=a b, other=c" : undefined,
      }),
    );
    assert.deepEqual(decoded(encodeBundle(entries)), { entries, whole: true });
  }
});

test("bundle - one that is cut off anywhere gives the entries before the cut, and says so", () => {
  const entries = [
    entry(),
    entry({ id: "job-2", tracestate: "a=b" }),
    entry({ id: "job-3", payload: Buffer.alloc(0) }),
  ];
  const bytes = encodeBundle(entries);
  const ends = [1, 2, 3].map((count) => encodeBundle(entries.slice(0, count)).length);
  for (let length = 1; length < bytes.length; length += 1) {
    const before = ends.filter((end) => end <= length).length;
    const seen = decoded(bytes.subarray(0, length));
    assert.deepEqual(seen, { entries: entries.slice(0, before), whole: ends.includes(length) });
  }
});

test("bundle - an entry whose token or id could be read as protocol is none", () => {
  for (const bad of [
    { token: "a b" },
    { token: "a.b" },
    { token: "" },
    { token: "a\r\nPUB" },
    { id: "*" },
    { id: "" },
  ]) {
    assert.deepEqual(decoded(encodeBundle([entry(), entry(bad), entry()])), { entries: [entry()], whole: false });
  }
});

test("bundle - random bytes never throw", () => {
  const random = seededRandom(3);
  for (let round = 0; round < 2_000; round += 1) {
    const bytes = Buffer.from(Array.from({ length: Math.floor(random() * 64) }, () => Math.floor(random() * 256)));
    assert.equal(typeof decoded(bytes).whole, "boolean");
  }
});

function batcher(maxPayloadBytes = 1_048_576, runtime = systemRuntime, longestWaitMs?: number) {
  const sent: [string, number[]][] = [];
  const batcher = new Batcher<number>(
    { maxPayloadBytes, runtime },
    {
      bytesOf: (item) => item,
      ...(longestWaitMs === undefined ? {} : { longestWaitMs }),
      alone: (place, item) => sent.push([place, [item]]),
      together: (place, items) => sent.push([place, [...items]]),
    },
  );
  return { sent, batcher };
}

test("batcher - what is to leave soon leaves before what is published after that is written, and once", async () => {
  const { sent, batcher: box } = batcher();
  const written: string[] = [];
  box.flushSoon();
  box.flushSoon();
  // So the library writes: once all that was read is handled.
  queueMicrotask(() => written.push(`word and ${sent.length} message`));
  box.add("a", 1);
  box.add("a", 2);
  assert.deepEqual(sent, []);
  await Promise.resolve();
  assert.deepEqual([sent, written], [[["a", [1, 2]]], ["word and 1 message"]]);
  box.add("a", 3);
  await Promise.resolve();
  assert.equal(sent.length, 1, "what comes later waits for the end of the turn");
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(sent.at(-1), ["a", [3]]);
});

test("batcher - what is for one place in one turn leaves together at its end, in order", async () => {
  const { sent, batcher: box } = batcher();
  box.add("a", 1);
  await Promise.resolve().then(() => box.add("b", 2));
  queueMicrotask(() => box.add("a", 3));
  assert.deepEqual(sent, []);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(sent, [
    ["a", [1, 3]],
    ["b", [2]],
  ]);
  box.add("a", 4);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(sent.at(-1), ["a", [4]]);
});

test("batcher - a full one leaves at once, and flush() sends the rest", () => {
  const { sent, batcher: box } = batcher();
  for (let i = 0; i < MAX_BUNDLE_ENTRIES + 1; i += 1) box.add("a", i);
  assert.deepEqual(
    sent.map(([, items]) => items.length),
    [MAX_BUNDLE_ENTRIES],
  );
  box.flush();
  box.flush();
  assert.deepEqual(sent.at(-1), ["a", [MAX_BUNDLE_ENTRIES]]);
  assert.equal(sent.length, 2);
});

test("batcher - in a turn that does not end, what waits leaves all the same, and goes on being gathered", () => {
  let nowMs = 0;
  const { sent, batcher: box } = batcher(undefined, { ...systemRuntime, now: () => nowMs, endOfTurn: () => {} }, 20);
  const add = (items: number): void => {
    for (let i = 0; i < items; i += 1) box.add(`${i % 64}`, 1);
  };
  add(1_000);
  assert.equal(sent.length, 0, "no time has passed: all of it still has company to wait for");
  for (let round = 1; round <= 3; round += 1) {
    nowMs += 50;
    add(64);
    const left = sent.reduce((sum, [, items]) => sum + items.length, 0);
    assert.ok(left >= 1_000 + 64 * (round - 1), `${left} have left`);
    assert.ok(sent.length <= 64 * 2 * round, "several together");
  }
});

test("batcher - what would make a message larger than the broker takes begins another", () => {
  const limit = 100;
  const { sent, batcher: box } = batcher(limit + HEADER_RESERVE_BYTES);
  for (const bytes of [60, 40, 1, 99, 101, 5]) box.add("a", bytes);
  box.flush();
  assert.deepEqual(
    sent.map(([, items]) => items),
    [[60, 40], [1, 99], [101], [5]],
  );
});

test("batcher - what waits can be taken back, and is not sent then", async () => {
  const { sent, batcher: box } = batcher();
  assert.equal(box.waiting, false);
  box.add("a", 1);
  box.add("b", 2);
  assert.equal(box.waiting, true);
  assert.deepEqual(box.take("a"), [1]);
  assert.deepEqual(box.take("a"), []);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(sent, [["b", [2]]]);
  assert.equal(box.waiting, false);
});

test("bundle - no entry takes more than is reckoned with", () => {
  const entry: BundleEntry = {
    token: "t".repeat(255),
    id: "i".repeat(63),
    nonce: "n".repeat(63),
    attempt: 1,
    payload: new Uint8Array(100),
    timeoutMs: 1,
    traceparent: "p".repeat(55),
    tracestate: "s".repeat(512),
  };
  const plain = { ...entry, traceparent: undefined, tracestate: undefined };
  for (const each of [entry, plain]) assert.ok(encodeBundle([each]).length <= mostBytes(each));
});

test("payloads - one that outlives its message is copied out of a large read, and kept as it came when it has its own buffer", () => {
  const read = new Uint8Array(65_536).fill(7);
  const small = read.subarray(100, 16_484);
  const copied = ownBytes(small);
  read.fill(0);
  assert.deepEqual([copied.length, copied[0], copied.buffer.byteLength], [16_384, 7, 16_384]);
  const large = new Uint8Array(131_200).subarray(128);
  assert.equal(ownBytes(large), large);
});
