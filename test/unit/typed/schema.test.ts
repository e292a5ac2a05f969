/** Schemas of four kinds: what they refuse, what they tell, and what travels. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import {
  GetCapacityRequestSchema,
  GetHistoryRequestSchema,
  GetHistoryResponseSchema,
} from "../../../gen/poolmesh/v1/meter_pb.js";
import type { PoolError } from "../../../mesh/errors.js";
import { json } from "../../../mesh/job/codec.js";
import { toBytes } from "../../../mesh/job/job.js";
import {
  decodeResult,
  definePool,
  encodePayload,
  isPoolDefinition,
  type PoolDefinition,
  poolName,
} from "../../../mesh/job/pool-definition.js";
import { type Schema, tellIssues } from "../../../mesh/job/schema.js";

const LIBRARIES: Readonly<Record<string, Schema>> = {
  zod: z.object({ user: z.object({ age: z.number() }), tags: z.array(z.string()) }),
  valibot: v.object({ user: v.object({ age: v.number() }), tags: v.array(v.string()) }),
  arktype: type({ user: { age: "number" }, tags: "string[]" }),
};

async function refusal(work: () => unknown): Promise<PoolError> {
  try {
    await work();
  } catch (error) {
    return error as PoolError;
  }
  throw new Error("nothing was thrown");
}

for (const [library, schema] of Object.entries(LIBRARIES)) {
  describe(`schema of ${library}`, () => {
    const pool = definePool({ name: "typed", input: schema, output: schema });
    const good = { user: { age: 5 }, tags: ["a"] };

    test("a value that fits travels as JSON", async () => {
      const payload = await encodePayload(pool, good);
      assert.deepEqual(json.decode(payload), good);
      assert.deepEqual(await decodeResult(pool, payload), good);
    });

    test("a value that does not fit is refused with a code, and with the path of each thing that is wrong", async () => {
      const error = await refusal(() => encodePayload(pool, { user: { age: "5" }, tags: ["a", 1] }));
      assert.deepEqual(
        [error.reason, error.field, error.jobCode, error.retryable],
        ["invalid_argument", "payload", "schema.input", false],
      );
      assert.deepEqual(error.issues?.map(({ path }) => path).sort(), [".tags[1]", ".user.age"]);
      assert.match(
        error.message,
        /^payload: does not fit the schema of pool typed: (?=.*\.user\.age: ).*\.tags\[1\]: /,
      );
    });

    test("a result that does not fit is a failed job that has run", async () => {
      const error = await refusal(() => decodeResult(pool, json.encode({ user: {}, tags: [] })));
      assert.deepEqual([error.reason, error.jobCode, error.maybeExecuted], ["job_failed", "schema.result", true]);
      assert.deepEqual(
        error.issues?.map(({ path }) => path),
        [".user.age"],
      );
    });
  });
}

test("schema - what travels is the value as it was, and the reader's schema makes its changes again", async () => {
  const when = z.object({ at: z.coerce.date(), times: z.number().default(1) });
  const pool = definePool({ name: "p", input: when, output: when });
  const payload = await encodePayload(pool, { at: new Date(0) });
  assert.equal(Buffer.from(payload).toString(), '{"at":"1970-01-01T00:00:00.000Z"}');
  assert.deepEqual(await decodeResult(pool, payload), { at: new Date(0), times: 1 });
});

test("schema - one that checks asynchronously is awaited", async () => {
  const even = z.number().refine(async (n) => n % 2 === 0, "odd");
  const pool = definePool({ name: "p", input: even, output: even });
  assert.deepEqual(await encodePayload(pool, 2), json.encode(2));
  assert.match((await refusal(() => encodePayload(pool, 3))).message, /: the value: odd$/);
});

test("schema - one that throws is a refusal, not another error", async () => {
  const broken = z.number().refine(() => {
    throw new Error("the schema is broken");
  });
  const pool = definePool({ name: "p", input: broken, output: broken });
  assert.equal((await refusal(() => encodePayload(pool, 3))).reason, "invalid_argument");
  assert.equal((await refusal(() => decodeResult(pool, json.encode(3)))).reason, "job_failed");
});

test("schema - a result that is no JSON is a failed job", async () => {
  const pool = definePool({ name: "p", input: z.number(), output: z.number() });
  const error = await refusal(() => decodeResult(pool, Buffer.from("{")));
  assert.deepEqual([error.reason, error.jobCode], ["job_failed", "schema.result"]);
});

describe("schema of a protobuf message", () => {
  const pool = definePool({ name: "p", input: GetCapacityRequestSchema, output: GetHistoryRequestSchema });

  test("a plain object with its fields becomes the message", async () => {
    const payload = await encodePayload(pool, { pool: "a" });
    const back = definePool({ name: "p", input: GetHistoryRequestSchema, output: GetCapacityRequestSchema });
    const message = await decodeResult(back, payload);
    assert.deepEqual((message as { pool: string }).pool, "a");
  });

  test("a field that cannot hold its value is refused by its path; bytes that are no message are refused", async () => {
    const history = definePool({ name: "p", input: GetHistoryResponseSchema, output: GetHistoryResponseSchema });
    const table: readonly [PoolDefinition, unknown, string[]][] = [
      [pool, { pool: 1 }, [".pool"]],
      [pool, { pool: "p", labels: { zone: { a: 1 } } }, [".labels.zone"]],
      [
        history,
        { stepMs: -1, slots: [1, -2], start: { seconds: 1n, nanos: 0.5 } },
        [".start.nanos", ".stepMs", ".slots[1]"],
      ],
      [pool, 5, [""]],
    ];
    for (const [definition, value, paths] of table) {
      const error = await refusal(() => encodePayload(definition, value));
      assert.deepEqual([error.reason, error.jobCode], ["invalid_argument", "schema.input"]);
      assert.deepEqual(
        error.issues?.map(({ path }) => path),
        paths,
      );
    }
    assert.equal((await refusal(() => decodeResult(pool, Buffer.from([255])))).jobCode, "schema.result");
  });
});

test("pool definition - a name or a schema that is none is refused by its field", async () => {
  const schema = z.number();
  for (const [more, field] of [
    [{ name: "a b" }, "pool"],
    [{ input: {} }, "input"],
    [{ output: undefined }, "output"],
  ] as const) {
    const make = (): unknown => definePool({ name: "p", input: schema, output: schema, ...(more as object) });
    assert.equal((await refusal(make)).field, field);
  }
});

test("pool definition - it is known by its mark, not by its class", () => {
  const pool: PoolDefinition = definePool({ name: "p", input: z.number(), output: z.number() });
  assert.deepEqual(
    [isPoolDefinition(pool), isPoolDefinition({ name: "p" }), isPoolDefinition("p")],
    [true, false, false],
  );
  assert.deepEqual([poolName(pool), poolName("q")], ["p", "q"]);
});

test("schema - many issues are told as the first five and a count", () => {
  const issues = Array.from({ length: 9 }, (_, i) => ({ path: `.a[${i}]`, message: "no" }));
  assert.equal(tellIssues(issues), ".a[0]: no; .a[1]: no; .a[2]: no; .a[3]: no; .a[4]: no; and 4 more");
});

test("payload - any JSON value is one; a text is taken as it is, and what JSON would lose is refused", async () => {
  const texts = ([{ x: 1 }, [1], 41, true, null, "41"] as const).map((each) => Buffer.from(toBytes(each)).toString());
  assert.deepEqual(texts, ['{"x":1}', "[1]", "41", "true", "null", "41"]);
  const refused = [new Map(), { when: Number.NaN }, () => undefined, undefined, 1n];
  for (const each of refused) {
    const error = await refusal(() => toBytes(each as never));
    assert.deepEqual([error.reason, error.field], ["invalid_argument", "payload"]);
  }
});
