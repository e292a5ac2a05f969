import assert from "node:assert/strict";
import { EventEmitter, on } from "node:events";
import { Readable } from "node:stream";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
import { create } from "@bufbuild/protobuf";
import { HeartbeatSchema } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { bytes, json, protobuf, text } from "../../../mesh/job/codec.js";
import { JobResult } from "../../../mesh/job/job.js";

const utf8 = (s: string): Uint8Array => new TextEncoder().encode(s);
const refusal = { reason: "invalid_argument", field: "payload" };

test("codec - json round-trips values, and nothing is the empty payload", () => {
  for (const value of [null, 0, "", "ü", [1, { a: true }], { b: null }])
    assert.deepEqual(json.decode(json.encode(value)), value);
  assert.equal(json.encode(undefined).length, 0);
  assert.equal(json.decode(new Uint8Array()), undefined);
});

test("codec - what has no json form, and what is not json, is refused by field", () => {
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  for (const value of [circular, 10n, () => 1]) assert.throws(() => json.encode(value), refusal);
  for (const payload of ["{", "NaN", "\ufeff1"]) assert.throws(() => json.decode(utf8(payload)), refusal);
  assert.throws(() => json.decode(new Uint8Array([0xff, 0xfe])), refusal);
});

test("codec - a result that cannot be read is called a result, whichever codec reads it", () => {
  const garbage = new JobResult("j", new Uint8Array([0xff]), "w", 1, 0, 0);
  const refused = { reason: "invalid_argument", field: "result", message: /^result: not valid / };
  assert.throws(() => garbage.json(), refused);
  assert.throws(() => garbage.text(), refused);
  assert.throws(() => garbage.decode(protobuf(HeartbeatSchema)), refused);
  const own = { name: "own", encode: () => new Uint8Array(), decode: () => assert.fail("as it says") };
  assert.throws(() => garbage.decode(own), { message: "as it says" });
});

test("codec - json names what it cannot hold, where it is and what to do instead", () => {
  class Secret {
    #inside = 1;
    read = (): number => this.#inside;
  }
  class Point {
    x = 1;
    move = (): number => (this.x += 1);
  }
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  const shared = { x: 1 };
  let deep: unknown = 1;
  for (let i = 0; i < 100_000; i += 1) deep = [deep];
  const table: [unknown, RegExp][] = [
    [new Map([[1, 2]]), /^payload: a Map has no JSON form: make it an array or a plain object/],
    [{ rows: [1, new Set([1])] }, /^payload: a Set at \.rows\[1\] has no JSON form/],
    [new Response("x"), /^payload: a Response .*codec "bytes"/],
    [new Blob([]), /codec "bytes"/],
    [new Uint8Array(2), /codec "bytes"/],
    [Buffer.from("x"), /codec "bytes"/],
    [{ data: new ArrayBuffer(1) }, /an ArrayBuffer at \.data .*codec "bytes"/],
    [Readable.from(["x"]), /a Readable .*codec "bytes"/],
    [new ReadableStream(), /a ReadableStream .*codec "bytes"/],
    [[new Error("no")], /an Error at \[0\] has no JSON form: throw it/],
    [{ late: Promise.resolve(1) }, /a Promise at \.late has no JSON form: await it/],
    [{ a: { then: () => 1 } }, /a promise at \.a/],
    [(function* () {})(), /Generator has no JSON form/],
    [(async function* () {})(), /AsyncGenerator has no JSON form/],
    [/x/, /RegExp/],
    [new Secret(), /a Secret has no JSON form/],
    [new URLSearchParams("a=1"), /a URLSearchParams/],
    [Number.NaN, /NaN has no JSON form/],
    [{ ratio: 1 / 0 }, /Infinity at \.ratio/],
    [{ when: new Date("never") }, /an invalid date at \.when/],
    [{ n: 10n }, /^payload: a BigInt at \.n has no JSON form: make it a string$/],
    [[{ id: 1, ids: [[], {}, { a: 1n }] }], /^payload: a BigInt at \[0\]\.ids\[2\]\.a has/],
    [10n, /^payload: a BigInt has no JSON form/],
    [new BigInt64Array(1), /^payload: a BigInt64Array has no JSON form: use codec "bytes"$/],
    [{ same: [shared, shared], boxed: Object(1n) }, /a BigInt at \.boxed/],
    [
      { same: [shared, shared], rows: [{ up: circle }] },
      /^payload: a circle at \.rows\[0\]\.up\.self has no JSON form/,
    ],
    [circle, /^payload: a circle at \.self has no JSON form: leave it out$/],
    [deep, /^payload: the value is nested too deeply for JSON: make it flatter$/],
    [{ toJSON: () => assert.fail("as it says") }, /not valid json: as it says/],
    [() => 1, /a function has no JSON form/],
    [Symbol("s"), /a symbol has no JSON form/],
    [{ items: [1, 2, 3, { fn: () => 1 }] }, /^payload: a function at \.items\[3\]\.fn has no JSON form: leave it out/],
    [{ a: { kind: Symbol("s") } }, /a symbol at \.a\.kind has no JSON form: .* codec of your own/],
    [[class {}], /a function at \[0\]/],
    [new Point(), /a function at \.move/],
    [new Proxy(new Map(), {}), /a Map has no JSON form/],
    [{ a: new WeakMap(), b: 1 }, /a WeakMap at \.a/],
    [{ a: new WeakRef({}) }, /a WeakRef at \.a/],
    [[new Float64Array(1)], /a Float64Array at \[0\] .*codec "bytes"/],
    [{ deep: [{ e: new TypeError("no") }] }, /a TypeError at \.deep\[0\]\.e has no JSON form: throw it/],
    [{ h: new Headers({ a: "1" }) }, /a Headers at \.h/],
    [[new Number(Number.NaN)], /a Number at \[0\]/],
    [{ a: [{ toJSON: () => new Set([1]) }] }, /a Set that toJSON gives at \.a\[0\] has no JSON form/],
    [{ toJSON: () => ({ f: () => 1 }) }, /a function that toJSON gives has no JSON form/],
    [{ a: { toJSON: () => Number.NaN } }, /NaN that toJSON gives at \.a/],
  ];
  for (const [value, message] of table) assert.throws(() => json.encode(value), { ...refusal, message });
});

test("codec - json refuses what can only be iterated over, and says how to read it", () => {
  const some = {
    *[Symbol.iterator]() {
      yield 1;
    },
  };
  const later = {
    async *[Symbol.asyncIterator]() {
      yield 1;
    },
  };
  class Cursor {
    position = 0;
    [Symbol.asyncIterator] = later[Symbol.asyncIterator];
  }
  const read = /read it into an array first, such as \[\.\.\.value\]/;
  const readLater = /read it into an array first, such as with "for await"/;
  const segments = new Intl.Segmenter("en", { granularity: "word" }).segment("a b");
  const table: [value: unknown, what: RegExp, advice: RegExp][] = [
    [some, /^payload: an iterable has no JSON form/, read],
    [{ ...some, page: 1 }, /^payload: an iterable has/, read],
    [{ rows: [some] }, /an iterable at \.rows\[0\]/, read],
    [Object.assign(Object.create(null), some), /an iterable has/, read],
    [runInNewContext("({ *[Symbol.iterator]() {} })"), /an iterable has/, read],
    [{ a: { toJSON: () => some } }, /an iterable that toJSON gives at \.a/, read],
    [segments, /^payload: an iterable has no JSON form/, read],
    [[1][Symbol.iterator](), /an Array Iterator has/, read],
    [(function* () {})(), /Generator has/, read],
    [later, /^payload: an async iterable has no JSON form/, readLater],
    [{ a: later }, /an async iterable at \.a/, readLater],
    [on(new EventEmitter(), "x"), /^payload: an async iterable has/, readLater],
    [(async function* () {})(), /AsyncGenerator has/, readLater],
    [new Cursor(), /a Cursor has/, readLater],
    [
      Object.create({ move: () => 1 }),
      /an object that is not plain has no JSON form: make it an array or a plain/,
      /./,
    ],
  ];
  for (const [value, what, advice] of table) {
    assert.throws(() => json.encode(value), { ...refusal, message: what });
    assert.throws(() => json.encode(value), { ...refusal, message: advice });
  }
});

test("codec - json takes arrays of every kind, and what can be iterated over besides its fields or its toJSON", () => {
  class Rows extends Array<number> {
    total = 2;
  }
  class Vector {
    x = 1;
    *[Symbol.iterator](): Generator<number> {
      yield this.x;
    }
  }
  const own = Object.assign([1], { [Symbol.iterator]: () => [][Symbol.iterator](), [Symbol.asyncIterator]: () => 1 });
  const formed = {
    toJSON: () => [1],
    [Symbol.iterator]: () => [1][Symbol.iterator](),
    [Symbol.asyncIterator]: () => 1,
  };
  for (const value of [Rows.of(1, 2), own, runInNewContext("[1]"), new Vector(), formed, { [Symbol.iterator]: 1 }]) {
    assert.equal(new TextDecoder().decode(json.encode(value)), JSON.stringify(value));
  }
});

test("codec - json takes what has a form of its own, and plain values of other realms", () => {
  class Point {
    x = 1;
    read(): number {
      return this.x;
    }
  }
  class Itself {
    x = 1;
    toJSON(): this {
      return this;
    }
  }
  const shared = { a: 1 };
  const deep = Array.from({ length: 500 }).reduce((inner: unknown) => ({ inner }), 1);
  for (const value of [
    new Date(0),
    new URL("http://a/"),
    { data: Buffer.from("x") },
    new Point(),
    Object.create(null),
    runInNewContext("({ a: [{}], b: {} })"),
    [undefined, shared, shared],
    { gone: undefined },
    [new Itself(), Object.assign(() => 1, { toJSON: () => 1 })],
    [new String("a"), new Number(1), new Boolean(false)],
    deep,
  ]) {
    assert.equal(new TextDecoder().decode(json.encode(value)), JSON.stringify(value));
  }
});

test("codec - a value that throws when it is looked at is refused", () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  let reads = 0;
  const moody = {
    get later(): number {
      reads += 1;
      if (reads > 1) throw new Error("moody");
      return 1;
    },
  };
  for (const value of [proxy, { inner: proxy }, moody]) assert.throws(() => json.encode(value), refusal);
  for (const codec of [text, bytes]) assert.throws(() => codec.encode(proxy as never), refusal);
});

test("codec - text is UTF-8 and says so when it is not", () => {
  assert.equal(text.decode(text.encode("grüße")), "grüße");
  assert.throws(() => text.decode(new Uint8Array([0xc3])), refusal);
  for (const value of [7, 7n, true]) assert.equal(text.decode(text.encode(value as never)), String(value));
  assert.equal(text.encode(undefined as never).length, 0);
  for (const value of [{}, [], new Map(), () => 1, Symbol("s"), "half \ud800"]) {
    assert.throws(() => text.encode(value as never), { ...refusal, message: /codec "json"/ });
  }
});

test("codec - bytes pass untouched", () => {
  const payload = new Uint8Array([0, 255, 1]);
  assert.equal(bytes.decode(payload), payload);
  assert.equal(bytes.encode(payload), payload);
  for (const value of [7, null, {}, [1]]) {
    assert.throws(() => bytes.encode(value as never), { ...refusal, message: /codec "json"/ });
  }
});

test("codec - protobuf messages round-trip, and a truncated one is refused", () => {
  const codec = protobuf(HeartbeatSchema);
  const beat = create(HeartbeatSchema, { pool: "p", worker: "w", slots: 3 });
  const payload = codec.encode(beat);
  assert.equal((codec.decode(payload) as typeof beat).slots, 3);
  assert.throws(() => codec.decode(payload.subarray(0, payload.length - 1)), refusal);
});
