import assert from "node:assert/strict";
import { test } from "node:test";
import { isHostAllowed, isLoopback, judgeOrigin } from "../../../mesh/http/origin-rule.js";

const strict = { allowedHosts: ["pool.example"], anyAddress: false };
const open = { allowedHosts: [], anyAddress: true };

test("loopback is localhost, 127/8 and ::1, and nothing that looks like it", () => {
  for (const host of ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "[::1]"]) {
    assert.ok(isLoopback(host), host);
  }
  for (const host of ["", "localhost.evil", "127.evil.example", "1.127.0.1", "0.0.0.0", "::", "::2", "127"]) {
    assert.ok(!isLoopback(host), host);
  }
});

test("a loopback Host passes with any port", () => {
  for (const host of ["localhost", "localhost:8090", "localhost.:1", "127.0.0.1:65535", "[::1]:8090", "[::1]"]) {
    assert.ok(isHostAllowed(host, strict), host);
  }
});

test("an allowed Host passes, with any port and in any case", () => {
  for (const host of ["pool.example", "Pool.Example:443"]) assert.ok(isHostAllowed(host, strict), host);
});

test("a Host that is foreign, missing or malformed does not pass", () => {
  const hosts = [
    undefined,
    "",
    "evil.example",
    "evil.example:8090",
    "a@localhost",
    "localhost:1:2",
    "localhost/x",
    "10.0.0.1",
  ];
  for (const host of hosts) assert.ok(!isHostAllowed(host, strict), String(host));
  assert.ok(!isHostAllowed("pool.example.evil", strict));
});

test("a public port answers to any address in digits, but to no name that is not allowed", () => {
  for (const host of ["10.0.0.1", "10.0.0.1:8090", "[fd00::1]:8090"]) assert.ok(isHostAllowed(host, open), host);
  assert.ok(!isHostAllowed("evil.example", open));
});

test("an Origin is none, same, allowed or foreign", () => {
  const judge = (origin: string | undefined) => judgeOrigin(origin, "localhost:8090", strict);
  assert.equal(judge(undefined), "none");
  assert.equal(judge("http://localhost:8090"), "same");
  assert.equal(judge("https://pool.example"), "allowed");
  assert.equal(judge("http://pool.example:3000"), "allowed");
  const foreign = [
    "null",
    "",
    "http://localhost:3000",
    "http://127.0.0.1:8090",
    "https://evil.example",
    "file:///x",
    "http://",
  ];
  for (const origin of foreign) assert.equal(judge(origin), "foreign", origin);
});

test("an Origin behind a proxy that ends TLS is the same when its host is the Host", () => {
  assert.equal(judgeOrigin("https://pool.example", "pool.example", { allowedHosts: [], anyAddress: false }), "same");
});
