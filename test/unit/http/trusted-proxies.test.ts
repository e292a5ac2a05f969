import assert from "node:assert/strict";
import { test } from "node:test";
import { checkCidr, TrustedProxies } from "../../../mesh/http/trusted-proxies.js";

const proxies = new TrustedProxies(["127.0.0.1", "10.0.0.0/8", "fd00::/8"]);
const from = (peer: string, said?: string): string =>
  proxies.addressOf({ headers: said === undefined ? {} : { "x-forwarded-for": said } }, peer);

test("who is no trusted proxy comes from its own address, whatever it says", () => {
  assert.equal(from("203.0.113.9", "198.51.100.1"), "203.0.113.9");
  assert.equal(from("203.0.113.9", "127.0.0.1"), "203.0.113.9");
  assert.equal(from("::1", "198.51.100.1"), "::1");
  assert.equal(from("", "198.51.100.1"), "");
});

test("behind a trusted proxy a request comes from the last address that is no trusted proxy", () => {
  assert.equal(from("127.0.0.1", "198.51.100.1"), "198.51.100.1");
  assert.equal(from("127.0.0.1", "6.6.6.6, 198.51.100.1"), "198.51.100.1");
  assert.equal(from("127.0.0.1", "6.6.6.6, 198.51.100.1, 10.1.2.3"), "198.51.100.1");
  assert.equal(from("::ffff:127.0.0.1", "198.51.100.1"), "198.51.100.1");
  assert.equal(from("fd00::7", "2001:db8::1"), "2001:db8::1");
  assert.equal(from("127.0.0.1", " 198.51.100.1:4711 "), "198.51.100.1");
  assert.equal(from("127.0.0.1", "[2001:db8::1]:4711"), "2001:db8::1");
});

test("when all of them are trusted it is the farthest, and without the header the proxy itself", () => {
  assert.equal(from("127.0.0.1", "10.9.9.9, 10.1.2.3"), "10.9.9.9");
  assert.equal(from("127.0.0.1"), "127.0.0.1");
  assert.equal(from("127.0.0.1", ""), "127.0.0.1");
});

test("what is no address ends the way back: the request comes from the proxy that has passed it on", () => {
  for (const odd of ["unknown", "_hidden", "1.2.3", "198.51.100.1 evil", "a\tb", "999.1.1.1"]) {
    assert.equal(from("127.0.0.1", `6.6.6.6, ${odd}`), "127.0.0.1", odd);
    assert.equal(from("127.0.0.1", `${odd}, 10.1.2.3`), "10.1.2.3", odd);
  }
});

test("of a header with many addresses the last ones are looked at", () => {
  const many = Array.from({ length: 3_000 }, () => "10.1.1.1").join(",");
  assert.equal(from("127.0.0.1", `198.51.100.1,${many}`), "10.1.1.1");
});

test("a range is an address, or one with a length that leaves strangers out", () => {
  for (const good of ["127.0.0.1", "::1", "10.0.0.0/8", "fd00::/8", "192.0.2.7/32"])
    assert.equal(checkCidr(good), good);
  for (const bad of ["", "localhost", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/", "10.0.0.0/8/8", "1.2.3.4/-1"]) {
    assert.throws(() => checkCidr(bad), /^Error: use /, bad);
  }
  for (const all of ["0.0.0.0/0", "::/0"]) assert.throws(() => checkCidr(all), /would trust everybody/);
});
