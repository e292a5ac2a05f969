/** References to objects, and the option of large payloads. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PoolError } from "../../../mesh/errors.js";
import { forgetPayload } from "../../../mesh/objects/forget-payload.js";
import { settleLargePayloads } from "../../../mesh/objects/large-payloads.js";
import { digestOf } from "../../../mesh/objects/object-store.js";
import { decodeReference, encodeReference, isObjectOf, objectName } from "../../../mesh/objects/reference.js";
import { isReference, REFERENCE_PREFIX } from "../../../mesh/wire/payloads.js";

const DIGEST = `SHA-256=${"A".repeat(43)}=`;
const REFERENCE = { bucket: "pool-enqueued", name: "adder.job-1.x", size: 7, digest: DIGEST };

/** The message of what is thrown. */
function refusal(work: () => unknown): string {
  try {
    work();
  } catch (thrown) {
    assert.ok(thrown instanceof PoolError && thrown.reason === "invalid_argument");
    return thrown.message;
  }
  return "";
}

test("references - what is written is read, and is no longer than it may be", () => {
  const text = encodeReference(REFERENCE);
  assert.ok(isReference(text));
  assert.deepEqual(decodeReference(text), REFERENCE);
});

test("references - only what begins with all of the prefix is one", () => {
  const begins = Buffer.from(REFERENCE_PREFIX);
  assert.equal(isReference(begins), true);
  for (const other of [
    "",
    "p",
    "41",
    REFERENCE_PREFIX.slice(0, -1),
    ` ${REFERENCE_PREFIX}`,
    REFERENCE_PREFIX.toUpperCase(),
  ]) {
    assert.equal(isReference(Buffer.from(other)), false, JSON.stringify(other));
  }
});

test("references - what is malformed is refused, field by field", () => {
  const wrong: readonly object[] = [
    { bucket: "a b" },
    { bucket: "a>" },
    { bucket: 1 },
    { name: "" },
    { name: "x".repeat(201) },
    { name: "a/b" },
    { size: -1 },
    { size: 1.5 },
    { size: "1" },
    { digest: "MD5=x" },
    { digest: `${DIGEST}=` },
  ];
  for (const each of wrong) {
    const text = Buffer.from(`${REFERENCE_PREFIX}${JSON.stringify({ ...REFERENCE, ...each })}`);
    assert.match(
      refusal(() => decodeReference(text)),
      /^payload: /,
      JSON.stringify(each),
    );
  }
  for (const text of ["", "null", "[]", "{", `{"a":"${"x".repeat(2_000)}"}`]) {
    assert.match(
      refusal(() => decodeReference(Buffer.from(REFERENCE_PREFIX + text))),
      /^payload: /,
      text,
    );
  }
});

test("references - an object belongs to the job of its name, and to no job whose id begins alike", () => {
  const named = (name: string) => ({ ...REFERENCE, name });
  assert.ok(isObjectOf(named(objectName("adder", "job-1", "x")), "adder", "job-1"));
  for (const [pool, id] of [
    ["adder", "job"],
    ["add", "er.job-1"],
    ["adder", "job-11"],
    ["other", "job-1"],
  ] as const) {
    assert.equal(isObjectOf(named("adder.job-1.x"), pool, id), false, `${pool} ${id}`);
  }
});

test("references - a manager deletes no object but that of the job, in a bucket of enqueued payloads", () => {
  const asked: string[] = [];
  const store = {
    last: async (stream: string) => {
      asked.push(stream);
      return undefined;
    },
    purge: async () => {},
  };
  const forget = (change: object): void =>
    forgetPayload(store, "adder", { id: "job-1", payload: encodeReference({ ...REFERENCE, ...change }) });
  forget({ bucket: "KV_secrets" });
  forget({ bucket: "pool-results" });
  forget({ name: "adder.job-2.x" });
  forgetPayload(store, "adder", { id: "job-1", payload: Buffer.from("41") });
  forgetPayload(store, "adder", { id: "job-1", payload: Buffer.from(`${REFERENCE_PREFIX}{`) });
  assert.deepEqual(asked, []);
  forget({});
  assert.deepEqual(asked, ["OBJ_pool-enqueued"]);
});

test("references - the digest is SHA-256 in padded base64url, also of what is hashed in parts", async () => {
  assert.equal(await digestOf(new Uint8Array()), "SHA-256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=");
  assert.equal(await digestOf(new Uint8Array(9_000_000)), await digestOf(new Uint8Array(9_000_000)));
  assert.notEqual(await digestOf(new Uint8Array(9_000_000)), await digestOf(new Uint8Array(9_000_001)));
});

test("large payloads - the option is off by default, has the defaults that are said, and names what is wrong", () => {
  assert.equal(settleLargePayloads(undefined, "pool"), undefined);
  assert.equal(settleLargePayloads(false, "pool"), undefined);
  const defaults = settleLargePayloads(true, "a.b");
  assert.deepEqual(
    [defaults?.maxBytes, defaults?.submitted, defaults?.enqueued.ttlMs, defaults?.results.name],
    [
      256 * 2 ** 20,
      { name: "a_b-submitted", ttlMs: 25 * 3_600_000, storeBytes: 2 ** 31 },
      30 * 24 * 3_600_000,
      "a_b-results",
    ],
  );
  const wrong = [
    { maxBytes: 0 },
    { maxBytes: 2 ** 32 },
    { thresholdBytes: 1.5 },
    { ttlMs: -1 },
    { enqueuedTtlMs: Number.NaN },
    { storeBytes: 0 },
    { bucket: "a.b" },
    { bucket: "x".repeat(41) },
  ];
  for (const each of wrong) {
    assert.match(
      refusal(() => settleLargePayloads(each, "pool")),
      new RegExp(`^largePayloads\\.${Object.keys(each)[0]}: `),
    );
  }
});
