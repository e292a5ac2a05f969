/** Bytes whose memory is gone, and what only looks like bytes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, checkPayload, json } from "../../../mesh/job/codec.js";
import { toJobSpec } from "../../../mesh/job/job.js";
import { type CodecPair, type Handler, invoke } from "../../../services/worker/handlers/handler.js";
import type { Call, HandlerOutcome } from "../../../services/worker/handlers/runner.js";

const refusal = { name: "PoolError", reason: "invalid_argument", field: "payload" };

function detached<T extends Uint8Array>(view: T): T {
  structuredClone(view, { transfer: [view.buffer as ArrayBuffer] });
  return view;
}

/** A view of memory that has shrunk since. */
function outOfBounds(): Uint8Array {
  const Resizable = ArrayBuffer as unknown as new (
    length: number,
    options: { maxByteLength: number },
  ) => ArrayBuffer & { resize(length: number): void };
  const memory = new Resizable(8, { maxByteLength: 8 });
  const view = new Uint8Array(memory, 4, 4);
  memory.resize(2);
  return view;
}

function outcomeOf(run: Handler, codec: CodecPair["output"] = bytes): HandlerOutcome {
  let ended: HandlerOutcome | undefined;
  const call: Call = {
    ...{
      id: "j",
      pool: "p",
      worker: "w",
      attempt: 1,
      attemptNumber: 1,
      bytes: new Uint8Array(),
      deadlineAtMs: 0,
      lane: "core" as const,
      maxAttempts: undefined,
    },
    ...{ traceparent: undefined, tracestate: undefined, signal: new AbortController().signal },
    progress: () => undefined,
    end: (outcome) => {
      ended = outcome;
    },
  };
  invoke({ run, codecs: { input: bytes, output: codec } }, call);
  assert.ok(ended !== undefined);
  return ended;
}

test("handler - a result whose memory was given away fails its own job and says so, whichever codec gives it", () => {
  const own = { name: "own", encode: (value: Uint8Array) => value, decode: (payload: Uint8Array) => payload };
  for (const codec of [bytes, own]) {
    for (const gone of [detached(new Uint8Array(4)), detached(new (class extends Uint8Array {})(4)), outOfBounds()]) {
      const outcome = outcomeOf(() => gone, codec);
      assert.ok(!outcome.ok);
      assert.equal(outcome.error.reason, "job_failed");
      assert.match(outcome.error.message, /^result: .*detached/);
    }
  }
  assert.deepEqual(
    outcomeOf(() => new Uint8Array(0)),
    { ok: true, payload: new Uint8Array(0) },
  );
});

test("handler - progress taken out of the job works on its own", () => {
  const run: Handler = ({ progress }) => [1, 2].forEach(progress);
  assert.deepEqual(outcomeOf(run, json), { ok: true, payload: new Uint8Array(0) });
});

test("caller - a payload whose memory was given away, or that only looks like bytes, is refused by field", () => {
  const looks = [new Proxy(new Uint8Array(2), {}), Object.create(Uint8Array.prototype), { length: 1 }, 1, null];
  for (const payload of [detached(new Uint8Array(4)), detached(Buffer.alloc(9_000)), outOfBounds(), ...looks]) {
    assert.throws(() => checkPayload(payload), refusal);
    assert.throws(() => toJobSpec(payload as Uint8Array, {}, 1_000, 1_000, () => "j"), refusal);
  }
  assert.throws(() => bytes.encode(looks[1]), refusal);
  for (const payload of [new Uint8Array(), Buffer.alloc(0), Buffer.from("x")])
    assert.equal(checkPayload(payload), payload);
});

test("codec - a payload that is not JSON is told by its place, and no error quotes it", () => {
  for (const payload of ["password=h", '{"password":"h",}', '["h" x]', "{"]) {
    try {
      json.decode(Buffer.from(payload));
      assert.fail("it was taken");
    } catch (error) {
      assert.match((error as Error).message, /^payload: not valid json/);
      assert.equal((error as Error).cause, undefined);
    }
  }
  assert.throws(() => json.decode(Buffer.from("[1 2]")), { message: "payload: not valid json at position 3" });
});

test("codec - an object whose toJSON gives the object itself is written as JSON.stringify writes it", () => {
  const itself = {
    a: 1,
    toJSON(): unknown {
      return this;
    },
  };
  const spread = { ...itself, toJSON: (): unknown => ({ ...itself }) };
  for (const value of [itself, { in: [itself] }, spread]) {
    assert.equal(Buffer.from(json.encode(value)).toString(), JSON.stringify(value));
  }
  assert.throws(() => json.encode({ ...itself, run: () => 1 }), /a function that toJSON gives/);
});

test("codec - the place of a lost value is clear for any key", () => {
  assert.throws(() => json.encode({ "": Number.NaN }), /NaN at \[""\] has/);
  assert.throws(() => json.encode({ "a b": [{ ü: Number.NaN }] }), /NaN at \["a b"\]\[0\]\.ü has/);
});
