import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { HeartbeatSchema } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { bytes, json, protobuf, text } from "../../mesh/wire/codec.js";

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

test("codec - text is UTF-8 and says so when it is not", () => {
  assert.equal(text.decode(text.encode("grüße")), "grüße");
  assert.throws(() => text.decode(new Uint8Array([0xc3])), refusal);
});

test("codec - bytes pass untouched", () => {
  const payload = new Uint8Array([0, 255, 1]);
  assert.equal(bytes.decode(payload), payload);
  assert.equal(bytes.encode(payload), payload);
  assert.throws(() => bytes.encode(7 as never), refusal);
});

test("codec - protobuf messages round-trip, and a truncated one is refused", () => {
  const codec = protobuf(HeartbeatSchema);
  const beat = create(HeartbeatSchema, { pool: "p", worker: "w", slots: 3 });
  const payload = codec.encode(beat);
  assert.equal((codec.decode(payload) as typeof beat).slots, 3);
  assert.throws(() => codec.decode(payload.subarray(0, payload.length - 1)), refusal);
});
