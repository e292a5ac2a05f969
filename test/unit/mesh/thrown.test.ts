/** Whatever somebody throws: it is told, and harms nobody else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AroundSubmit } from "../../../client/around-submit.js";
import { PoolError, toPoolError } from "../../../mesh/errors.js";
import type { Outcome } from "../../../mesh/job/job.js";
import { decodeResult, definePool, encodePayload } from "../../../mesh/job/pool-definition.js";
import { type Logger, silentLog } from "../../../mesh/process/log.js";
import { PartEvents } from "../../../mesh/process/part-events.js";
import { thrownStack, thrownText } from "../../../mesh/thrown.js";

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

const badGetter = Object.defineProperty(new Error("x"), "message", {
  get: () => {
    throw new Error("from a getter");
  },
});
/** What can be thrown, by name. */
const THROWN: Readonly<Record<string, unknown>> = {
  null: null,
  undefined,
  "a text": "no luck",
  "a symbol": Symbol("s"),
  "an object without a prototype": Object.create(null),
  "a revoked proxy": revoked(),
  "an error whose message throws": badGetter,
  "an error whose message is a number": Object.assign(new Error("x"), { message: 7 }),
};

for (const [name, thrown] of Object.entries(THROWN)) {
  test(`thrown - ${name} has a text, and a stack or none`, () => {
    assert.equal(typeof thrownText(thrown), "string");
    assert.ok(["string", "undefined"].includes(typeof thrownStack(thrown)));
    assert.equal(toPoolError(thrown).reason, "internal");
  });

  test(`thrown - a middleware of a client that throws ${name} ends its job with one error`, async () => {
    const around = new AroundSubmit();
    around.use(() => Promise.reject(thrown));
    const call = { pool: "p", id: "a", payload: new Uint8Array(), options: {} };
    const outcome = await new Promise<Outcome>((resolve) => around.run(call, assert.fail, resolve));
    assert.ok(!outcome.ok);
    assert.equal(outcome.error.reason, "internal");
    assert.match(outcome.error.message, /^a middleware of the client failed: ./);
  });

  test(`thrown - a listener that throws ${name} is a line in the log, and whoever told it goes on`, () => {
    const lines: unknown[] = [];
    const log = { ...silentLog, error: (fields: unknown) => lines.push(fields) } as unknown as Logger;
    const events = new PartEvents<{ "job:start": number }>(log);
    events.on("job:start", () => {
      throw thrown;
    });
    events.tell("job:start", 1);
    assert.equal(lines.length, 1);
  });

  test(`thrown - a schema that throws ${name} refuses the value`, async () => {
    const validate = (): never => {
      throw thrown;
    };
    const schema = { "~standard": { version: 1 as const, vendor: "test", validate } };
    const pool = definePool({ name: "p", input: schema, output: schema });
    await assert.rejects(encodePayload(pool, 1), { reason: "invalid_argument", jobCode: "schema.input" });
    await assert.rejects(decodeResult(pool, Buffer.from("1")), { reason: "job_failed", jobCode: "schema.result" });
  });
}

test("thrown - a PoolError stays what it is", () => {
  const error = new PoolError("canceled", "by hand");
  assert.equal(toPoolError(error), error);
});
