import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, json, text } from "../../../mesh/job/codec.js";
import type { Job } from "../../../services/worker/handlers/handler.js";
import { readExports } from "../../../services/worker/handlers/handler-exports.js";
import { settle } from "../../../services/worker/worker-options.js";

const run = (): string => "run";
const value = (module: object): unknown => readExports(module as never, '"f.ts"').run({ payload: 1 } as Job);

test("handler exports - run, a default function, or an object with run, also of a CommonJS module", () => {
  class Handler {
    name = "own";
    run(): string {
      return this.name;
    }
    static run(): string {
      return "static";
    }
  }
  const table: [object, string][] = [
    [{ run }, "run"],
    [{ default: run }, "run"],
    [{ run, default: () => "default" }, "run"],
    [{ default: { run } }, "run"],
    [{ default: { default: { run } } }, "run"],
    [{ default: { default: run } }, "run"],
    [{ default: new Handler() }, "own"],
    [{ default: Handler }, "static"],
    [{ run: 1, default: run }, "run"],
    [{ name: "module", run: Handler.prototype.run }, "module"],
  ];
  for (const [module, expected] of table) assert.equal(value(module), expected);
});

test("handler exports - codec, setup and teardown are found beside run and beside the default export", () => {
  const calls: unknown[] = [];
  const hooks = {
    who: "me",
    setup(this: { who: string }, context: unknown) {
      calls.push(["setup", this.who, context]);
    },
    teardown(this: { who: string }) {
      calls.push(["teardown", this.who]);
    },
  };
  for (const module of [
    { run, codec: "text", ...hooks },
    { default: { run, ...hooks }, codec: "text" },
  ]) {
    const { setup, teardown, codecs } = readExports(module as never, "f");
    setup?.("context" as never);
    teardown?.();
    assert.deepEqual([codecs.input, codecs.output], [text, text]);
  }
  assert.deepEqual(calls, [
    ["setup", "me", "context"],
    ["teardown", "me"],
    ["setup", "me", "context"],
    ["teardown", "me"],
  ]);
  const both = readExports({ run, codec: { input: "bytes", output: "json" } }, "f").codecs;
  assert.deepEqual([both.input, both.output], [bytes, json]);
  assert.equal(readExports({ run, codec: "text" }, "f", "bytes").codecs.input, bytes);
});

test("handler exports - what cannot be a handler is refused by field, a class with what to write instead", () => {
  class Handler {
    run(): void {}
  }
  const table: [object, RegExp][] = [
    [{}, /^handler: "f.ts" exports no function run/],
    [{ default: { run: 1 } }, /exports no function run/],
    [{ default: Handler }, /^handler: the default export of "f.ts" is a class.*new Handler\(\)/],
    [{ run: Handler }, /^handler: run of "f.ts" is a class/],
    [{ default: class {} }, /is a class.*new Handler\(\)/],
    [{ *run() {} }, /^handler: run of "f.ts" is a generator; return the result, .*job\.progress/],
    [{ async *default() {} }, /^handler: the default export of "f.ts" is a generator/],
    [{ run, teardown: class {} }, /^handler: teardown of "f.ts" is a class/],
    [{ run, codec: null }, /^codec: use json, text, bytes/],
    [{ run, setup: 1 }, /^handler: setup of "f.ts" is not a function/],
    [{ default: { run, teardown: {} } }, /^handler: teardown of "f.ts" is not a function/],
    [{ run, codec: "xml" }, /^codec: use json, text, bytes/],
    [{ run, codec: { encode: run } }, /^codec: /],
  ];
  for (const [module, message] of table) {
    assert.throws(() => value(module), { reason: "invalid_argument", message });
  }
  const options = { pool: "p", run: Handler as never };
  assert.throws(() => settle(options), { reason: "invalid_argument", field: "handler", message: /run is a class/ });
});

test("handler exports - recycleAfter and loadTimeoutMs are checked", () => {
  for (const recycleAfter of [0, -1, 1.5, Number.NaN]) {
    assert.throws(() => settle({ pool: "p", run, recycleAfter }), {
      reason: "invalid_argument",
      field: "recycleAfter",
    });
  }
  assert.throws(() => settle({ pool: "p", run, loadTimeoutMs: 0 }), { field: "loadTimeoutMs" });
  assert.equal(settle({ pool: "p", run }).loadTimeoutMs, 10_000);
});
