import assert from "node:assert/strict";
import { test } from "node:test";
import { type Msg, type MsgHdrs, headers as natsHeaders } from "nats";
import {
  decodeJobHeaders,
  decodeReplyHeaders,
  encodeJobHeaders,
  encodeReplyHeaders,
  HEADER,
} from "../../../mesh/wire/headers.js";
import { headersOf, wireHeaders } from "../../../mesh/wire/wire-headers.js";

/** What nats.js puts on the wire for headers. */
const encode = (h: MsgHdrs): Uint8Array => (h as unknown as { encode(): Uint8Array }).encode();

/** A message as nats.js hands it over: headers and payload in one buffer that begins somewhere. */
function message(header: Uint8Array, payload = "payload"): Msg {
  const whole = Buffer.concat([Buffer.from("before"), header, Buffer.from(payload)]);
  return { _msg: { hdr: header.length }, _rdata: whole.subarray(6) } as unknown as Msg;
}

test("wire headers - what is written is what nats.js reads, and the other way round", () => {
  const values: Record<string, string> = {
    "Pool-Job-Id": "a-1",
    traceparent: "00-ab-cd-01",
    "Nats-Service-Error": "ünï: x",
  };
  const ours = wireHeaders();
  const theirs = natsHeaders();
  for (const [name, value] of Object.entries(values)) {
    ours.append(name, value);
    theirs.append(name, value);
  }
  assert.deepEqual(Buffer.from(encode(ours)).toString(), Buffer.from(encode(theirs)).toString());
  const read = headersOf(message(encode(theirs)));
  for (const [name, value] of Object.entries(values)) assert.equal(read?.get(name), value);
  assert.equal(read?.get("Pool-Job"), "");
  assert.deepEqual(
    [...(read ?? [])],
    Object.entries(values).map(([name, value]) => [name, [value]]),
  );
});

test("wire headers - the status line is read, with and without a description", () => {
  const code = (text: string): number | undefined => headersOf(message(Buffer.from(text), ""))?.code;
  assert.equal(code("NATS/1.0 503\r\n\r\n"), 503);
  assert.equal(code("NATS/1.0 404 No Messages\r\nA: b\r\n\r\n"), 404);
  assert.equal(code("NATS/1.0\r\nA: 1\r\n\r\n"), 0);
});

test("wire headers - a message without headers has none", () => {
  assert.equal(headersOf({ _msg: { hdr: -1 }, _rdata: Buffer.from("x") } as unknown as Msg), undefined);
});

test("wire headers - a line break in a value is refused", () => {
  for (const value of ["a\r\nPool-Reply: result", "a\nb", "a\rb"]) {
    assert.throws(() => wireHeaders().append("X", value), { reason: "invalid_argument", field: "X" });
  }
});

test("wire headers - jobs and replies come back as they were", () => {
  const job = { jobId: "j-1", attempt: 2, timeoutMs: 500, expiresAt: 1_795_000_000_000, offer: true, idempotent: true };
  assert.deepEqual(decodeJobHeaders(headersOf(message(encode(encodeJobHeaders(job))))), job);
  const reply = { kind: "busy", jobId: "j-1", attempt: 2, worker: "w", free: 0 } as const;
  assert.deepEqual(decodeReplyHeaders(headersOf(message(encode(encodeReplyHeaders(reply))))), reply);
});

test("headers - what is 1 or 0 is read as that, and anything else is refused with the header's name", () => {
  const flags = {
    idempotent: "idempotent",
    offer: "offer",
    join: "join",
    wait: "wait",
    waitForPool: "waitForPool",
  } as const;
  for (const [key, field] of Object.entries(flags) as [keyof typeof flags, keyof typeof flags][]) {
    const read = (value: string): boolean | undefined => {
      const headers = wireHeaders();
      headers.append(HEADER[key], value);
      return decodeJobHeaders(headers)[field];
    };
    assert.deepEqual([read("1"), read("0"), read("")], [true, false, undefined]);
    for (const value of ["maybe", "true", "01", "2", "no"]) {
      assert.throws(() => read(value), { reason: "invalid_argument", field: HEADER[key] });
    }
  }
});

test("headers - a lane that nobody knows and attempts that are no number are refused with the header's name", () => {
  for (const [name, values] of [
    [HEADER.lane, ["core", "x"]],
    [HEADER.maxAttempts, ["0", "many", "-1"]],
  ] as const) {
    for (const value of values) {
      const headers = wireHeaders();
      headers.append(name, value);
      assert.throws(() => decodeJobHeaders(headers), { reason: "invalid_argument", field: name });
    }
  }
});
