import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { CATALOGUE, PermanentError, PoolError, type Reason, toPoolError } from "../../../mesh/errors.js";
import { asJobError, fromConnectError, jobFactsOf, toConnectError } from "../../../mesh/wire/connect-errors.js";
import { readErrorHeaders, writeErrorHeaders } from "../../../mesh/wire/error-headers.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { wireHeaders } from "../../../mesh/wire/wire-headers.js";

const reasons = Object.keys(CATALOGUE) as Reason[];

test("errors - every reason comes back through NATS headers as it went", () => {
  for (const reason of reasons) {
    const error = new PoolError(reason, "what happened", {
      retryAfterMs: 120,
      maybeExecuted: true,
      field: "payload",
      utilization: 0.5,
      parked: 7,
      jobCode: "card.declined",
    });
    const headers = wireHeaders();
    writeErrorHeaders(headers, error);
    const back = readErrorHeaders(headers);
    for (const key of [
      "reason",
      "message",
      "retryAfterMs",
      "maybeExecuted",
      "field",
      "utilization",
      "parked",
      "jobCode",
    ] as const) {
      assert.equal(back[key], error[key], `${reason} ${key}`);
    }
    assert.equal(headers.get(HEADER.serviceErrorCode), String(CATALOGUE[reason].number));
  }
});

test("errors - every reason comes back through Connect as it went, with its code", () => {
  for (const reason of reasons) {
    const error = new PoolError(reason, "what happened", {
      retryAfterMs: 120,
      maybeExecuted: true,
      jobCode: "E_LATE",
    });
    const wire = toConnectError(error);
    assert.equal(wire.code, CATALOGUE[reason].code);
    const back = fromConnectError(wire);
    assert.equal(back.reason, reason);
    assert.equal(back.message, "what happened");
    assert.equal(back.retryable, error.retryable);
    assert.equal(back.maybeExecuted, true);
    assert.equal(back.jobCode, "E_LATE");
  }
});

test("errors - a handler's code is 1 to 64 letters, digits and a few signs; what is not one is left out", () => {
  for (const jobCode of ["E1", "card.declined", "a:b-c_d", "x".repeat(64)]) {
    assert.equal(new PoolError("job_failed", "no", { jobCode }).jobCode, jobCode);
  }
  for (const jobCode of ["", "x".repeat(65), "a b", "a\r\nPool-Reply: result", "ü", 7, null, {}]) {
    assert.equal(new PoolError("job_failed", "no", { jobCode: jobCode as string }).jobCode, undefined);
    const headers = wireHeaders();
    headers.append(HEADER.error, "job_failed");
    if (typeof jobCode === "string" && !/[\r\n]/.test(jobCode)) headers.append(HEADER.errorCode, jobCode);
    assert.equal(readErrorHeaders(headers).jobCode, undefined);
  }
});

test("errors - a stranger's Connect error is told by its code", () => {
  assert.equal(fromConnectError(new ConnectError("x", Code.Unavailable)).reason, "bus_unavailable");
  assert.equal(fromConnectError(new ConnectError("x", Code.Internal)).reason, "internal");
});

test("errors - what is not ours is internal, and its message stays inside", () => {
  const error = toPoolError(new Error("password=hunter2"));
  assert.equal(error.reason, "internal");
  assert.doesNotMatch(error.message, /hunter2/);
  assert.ok(error.cause instanceof Error);
  assert.equal(new PermanentError("x").name, "PermanentError");
});

test("errors - the README lists every reason of the catalogue, and when it happens", () => {
  const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");
  for (const [reason, { when }] of Object.entries(CATALOGUE)) {
    assert.ok(readme.includes(`\`${reason}\``), `README names ${reason}`);
    if (!["unauthenticated", "permission_denied"].includes(reason))
      assert.ok(readme.replaceAll("`PermanentError`", "PermanentError").includes(when), when);
  }
  assert.ok(readme.includes(`${reasons.length} typed errors`));
});

test("errors - the error of a job tells over Connect which job it was, who ran it, and its times", () => {
  const shared = new PoolError("job_failed", "no", { jobCode: "card.declined", maybeExecuted: true });
  for (const worker of ["w1", "w2"]) {
    const facts = { jobId: `of-${worker}`, worker, attempt: 2, waitMs: 1.5, totalMs: 9 };
    const back = fromConnectError(toConnectError(asJobError(shared, facts)));
    assert.deepEqual(jobFactsOf(back), facts);
    assert.deepEqual([back.reason, back.jobCode, back.maybeExecuted], ["job_failed", "card.declined", true]);
  }
  assert.equal(jobFactsOf(fromConnectError(toConnectError(shared))), undefined);
});
