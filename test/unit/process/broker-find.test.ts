import assert from "node:assert/strict";
import { test } from "node:test";
import { compareVersions, parseVersion } from "../../../broker/find.js";
import { missingBinary } from "../../../broker/missing.js";
import { serverConfigText } from "../../../broker/server-config.js";

test("compareVersions - orders by number, not by letter, and a pre-release before its release", () => {
  const sorted = ["2.10.0", "2.9.10", "2.15.2", "2.15.2-RC.1", "0.0.0", "2.9.9"].sort(compareVersions);
  assert.deepEqual(sorted, ["0.0.0", "2.9.9", "2.9.10", "2.10.0", "2.15.2-RC.1", "2.15.2"]);
  assert.equal(compareVersions("2.9.10", "2.9.10"), 0);
});

test("parseVersion - reads what the programs print, and a build without a version is the oldest", () => {
  assert.equal(parseVersion("nats-server: v2.9.10\n"), "2.9.10");
  assert.equal(parseVersion("v0.5.0"), "0.5.0");
  assert.equal(parseVersion("nats-server: v2.16.0-dev"), "2.16.0-dev");
  assert.equal(parseVersion("development"), "0.0.0");
});

test("missingBinary - names every way to get nats-server, and what was tried, in one message", () => {
  const error = missingBinary("nats-server", ["apt: exit code 100"]);
  assert.equal(error.reason, "bus_unavailable");
  for (const word of ["go install", "apt-get install", "brew install", "NATS_URL", "tried: apt: exit code 100"]) {
    assert.ok(error.message.includes(word), word);
  }
});

test("serverConfigText - listens on loopback only", () => {
  const text = serverConfigText({
    port: -1,
    portsFolder: "/p",
    cluster: { name: "c", routes: ["nats://h:1"], port: -1 },
  });
  assert.match(text, /^host: 127\.0\.0\.1$/m);
  assert.match(text, /listen: "127\.0\.0\.1:-1"/);
  assert.ok(!text.includes("jetstream"));
});

test("serverConfigText - quotes what would end a string, and refuses control characters", () => {
  const text = serverConfigText({ port: 1, portsFolder: "/p", auth: { token: 'a"b\\c' } });
  assert.ok(text.includes('token: "a\\"b\\\\c"'));
  assert.throws(() => serverConfigText({ port: 1, portsFolder: "/p", serverName: "a\nport: 9" }), {
    reason: "invalid_argument",
  });
});
