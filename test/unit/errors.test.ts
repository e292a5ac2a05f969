import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { CATALOGUE, PermanentError, PoolError, type Reason, safeMessage, toPoolError } from "../../mesh/errors.js";
import { fromConnectError, toConnectError } from "../../mesh/wire/connect-errors.js";
import { readErrorHeaders, writeErrorHeaders } from "../../mesh/wire/error-headers.js";
import { HEADER } from "../../mesh/wire/headers.js";
import { wireHeaders } from "../../mesh/wire/wire-headers.js";

const reasons = Object.keys(CATALOGUE) as Reason[];

test("errors - every reason comes back through NATS headers as it went", () => {
  for (const reason of reasons) {
    const error = new PoolError(reason, "what happened", {
      retryAfterMs: 120,
      maybeExecuted: true,
      field: "payload",
      utilization: 0.5,
      parked: 7,
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
    ] as const) {
      assert.equal(back[key], error[key], `${reason} ${key}`);
    }
    assert.equal(headers.get(HEADER.serviceErrorCode), String(CATALOGUE[reason].number));
  }
});

test("errors - every reason comes back through Connect as it went, with its code", () => {
  for (const reason of reasons) {
    const error = new PoolError(reason, "what happened", { retryAfterMs: 120, maybeExecuted: true });
    const wire = toConnectError(error);
    assert.equal(wire.code, CATALOGUE[reason].code);
    const back = fromConnectError(wire);
    assert.equal(back.reason, reason);
    assert.equal(back.message, "what happened");
    assert.equal(back.retryable, error.retryable);
    assert.equal(back.maybeExecuted, true);
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

test("errors - a message that is sent is one bounded line without paths", () => {
  assert.equal(safeMessage("a\r\nb\u0000c"), "a b c");
  assert.doesNotMatch(safeMessage("ENOENT: /home/someone/secret/file.ts:12:3"), /someone/);
  assert.ok(safeMessage("x".repeat(10_000)).length <= 512);
});

test("errors - the README lists every reason of the catalogue, and when it happens", () => {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  for (const [reason, { when }] of Object.entries(CATALOGUE)) {
    assert.ok(readme.includes(`\`${reason}\``), `README names ${reason}`);
    if (!["unauthenticated", "permission_denied"].includes(reason))
      assert.ok(readme.replaceAll("`PermanentError`", "PermanentError").includes(when), when);
  }
  assert.ok(readme.includes(`${reasons.length} typed errors`));
});
