import assert from "node:assert/strict";
import { test } from "node:test";
import { PermanentError, PoolError } from "../../../mesh/errors.js";
import { readThrown } from "../../../services/worker/handlers/thrown.js";

test("thrown - message, code, stack and causes are read; all of it is text", () => {
  const inner = Object.assign(new Error("socket closed"), { code: "ECONNRESET" });
  const outer = Object.assign(new Error("no quote", { cause: inner }), { code: "quote.late" });
  const read = readThrown(outer);
  assert.deepEqual([read.message, read.code, read.permanent], ["no quote (cause: socket closed)", "quote.late", false]);
  assert.match(read.stack ?? "", /^Error: no quote\n +at /);
  assert.match(read.cause ?? "", /^Error: socket closed\n +at /);
});

test("thrown - a cause that the message repeats is not told twice, and a chain is told to its second", () => {
  const chain = new Error("a1", { cause: new Error("b2", { cause: new Error("c3", { cause: new Error("d4") }) }) });
  assert.equal(readThrown(chain).message, "a1 (cause: b2) (cause: c3)");
  assert.equal(readThrown(new Error("failed: b2", { cause: new Error("b2") })).message, "failed: b2");
  assert.equal(readThrown(new Error("text", { cause: "words" })).message, 'text (cause: "words")');
  assert.equal(
    readThrown(new AggregateError([new Error("x1"), new Error("y2")])).message,
    "AggregateError (cause: x1) (cause: y2)",
  );
});

test("thrown - a code counts when it is one; that of an error of ours is its reason", () => {
  const codes: [unknown, string | undefined][] = [
    [{ code: "E_1" }, "E_1"],
    [{ code: 7 }, undefined],
    [{ code: "two words" }, undefined],
    [new PoolError("pool_full", "x"), "pool_full"],
    [new PoolError("job_failed", "x", { jobCode: "inner" }), "inner"],
    [new DOMException("x", "AbortError"), undefined],
    ["text", undefined],
  ];
  for (const [thrown, code] of codes) assert.equal(readThrown(thrown).code, code);
});

test("thrown - a PermanentError is known by its class, by the mark of another copy, and by its name", () => {
  class Subclass extends PermanentError {
    override readonly name = "Subclass";
  }
  const marked = Object.assign(new Error("x"), { [Symbol.for("poolmesh.PermanentError")]: true });
  for (const thrown of [new PermanentError("x"), new Subclass("x"), marked, { name: "PermanentError" }]) {
    assert.equal(readThrown(thrown).permanent, true);
  }
  for (const thrown of [new Error("x"), "PermanentError", null, undefined]) {
    assert.equal(readThrown(thrown).permanent, false);
  }
});

test("thrown - what is read is bounded, and a circle of causes ends", () => {
  const a = new Error("a".repeat(100_000));
  const b = new Error("b", { cause: a });
  a.cause = b;
  const read = readThrown(a);
  const endless = Object.assign(new Error("endless"), {
    errors: {
      *[Symbol.iterator]() {
        for (;;) yield a;
      },
    },
  });
  assert.match(readThrown(endless).message, /^endless \(cause: a+/);
  assert.ok(read.message.length <= 4_096 && (read.stack?.length ?? 0) <= 8_192 && (read.cause?.length ?? 0) <= 8_192);
});

test("thrown - no text of it has the user and password of a URL, and the stack keeps its lines", () => {
  const url = "https://ann:s3cret@host/x";
  const error = new Error(`cannot reach ${url}`, { cause: new Error(`at ${url}`, { cause: `raw ${url}` }) });
  for (const thrown of [error, url, { url }, new AggregateError([error]), { message: url, stack: `E ${url}\n at f` }]) {
    const read = readThrown(thrown);
    assert.doesNotMatch(JSON.stringify(read), /s3cret/);
  }
  assert.match(readThrown(error).stack ?? "", /^Error: cannot reach https:\/\/…@host\/x\n +at /);
});
