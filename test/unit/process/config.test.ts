import assert from "node:assert/strict";
import { test } from "node:test";
import { envName, flagName, readConfig } from "../../../mesh/process/config.js";
import { OPTIONS, pick } from "../../../mesh/process/options.js";
import { readManagerConfig } from "../../../services/manager/config.js";

const message = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return (error as Error).message;
  }
  return assert.fail("was refused");
};

test("config - defaults, environment and flags, each winning over the one before", () => {
  assert.equal(readManagerConfig({}, {}).timeoutMs, 30_000);
  assert.equal(readManagerConfig({ POOLMESH_TIMEOUT_MS: "5" }, {}).timeoutMs, 5);
  assert.equal(readManagerConfig({ POOLMESH_TIMEOUT_MS: "5" }, { timeoutMs: "7" }).timeoutMs, 7);
  assert.deepEqual(readManagerConfig({ NATS_URL: "nats://a:1,nats://b:2" }, {}).servers, ["nats://a:1", "nats://b:2"]);
  assert.deepEqual(readManagerConfig({ NATS_URL: "nats://a:1", POOLMESH_SERVERS: "b:2" }, {}).servers, ["nats://b:2"]);
});

test("config - all mistakes are in one message, with the nearest right name", () => {
  const text = message(() =>
    readManagerConfig(
      { POOLMESH_TIMEOUT_MS: "soon", POOLMESH_PARKED_LIMITS: "1", POOLMESH_LISTEN: "x" },
      { prefix: "a b" },
    ),
  );
  assert.match(text, /POOLMESH_TIMEOUT_MS: use a whole number/);
  assert.match(text, /POOLMESH_PARKED_LIMITS: unknown; did you mean POOLMESH_PARKED_LIMIT\?/);
  assert.match(text, /POOLMESH_LISTEN: use HOST:PORT/);
  assert.match(text, /--prefix: use one to four names/);
});

test("config - another program's options are no mistake, a stranger's are", () => {
  assert.ok(readManagerConfig({ POOLMESH_SLOTS: "4", OTHER_THING: "x" }, {}));
  assert.match(
    message(() => readManagerConfig({ POOLMESH_NOTHING_LIKE_THAT_AT_ALL: "1" }, {})),
    /POOLMESH_NOTHING_LIKE_THAT_AT_ALL: unknown$/m,
  );
});

test("config - the variables that Kubernetes sets for Services called poolmesh… stop no program, typos do", () => {
  const linked = (name: string): Record<string, string> => ({
    [`${name}_SERVICE_HOST`]: "10.0.0.11",
    [`${name}_SERVICE_PORT`]: "8080",
    [`${name}_SERVICE_PORT_HTTP_WEB`]: "8080",
    [`${name}_PORT`]: "tcp://10.0.0.11:8080",
    [`${name}_PORT_4222_TCP`]: "tcp://10.0.0.11:4222",
    [`${name}_PORT_4222_TCP_PROTO`]: "tcp",
    [`${name}_PORT_4222_TCP_PORT`]: "4222",
    [`${name}_PORT_4222_TCP_ADDR`]: "10.0.0.11",
    [`${name}_PORT_53_UDP_ADDR`]: "10.0.0.11",
  });
  for (const name of ["POOLMESH", "POOLMESH_MANAGER", "POOLMESH_NATS_2"]) {
    assert.ok(readManagerConfig(linked(name), {}), name);
  }
  for (const [key, value] of [
    ["POOLMESH_PORT", "8080"],
    ["POOLMESH_MANAGER_PORT", "8080"],
    ["POOLMESH_SERVICE", "x"],
    ["POOLMESH_PORT_HTTP", "8080"],
    ["POOLMESH_SERVICE_HOSTS", "x"],
  ] as const) {
    assert.match(
      message(() => readManagerConfig({ [key]: value }, {})),
      new RegExp(`${key}: unknown`),
    );
  }
});

test("config - settings that contradict each other are refused, each by its name", () => {
  const cases: [option: string, env: Record<string, string>][] = [
    ["token", { POOLMESH_TOKEN: "t", POOLMESH_USER: "u" }],
    ["credsFile", { NATS_CREDS: "/f", POOLMESH_USER: "u" }],
    ["credsFile", { NATS_CREDS: "/f", POOLMESH_TOKEN: "t" }],
    ["nkeyFile", { NATS_NKEY: "/f", POOLMESH_USER: "u" }],
    ["nkeyFile", { NATS_NKEY: "/f", NATS_CREDS: "/f" }],
    ["natsTlsCertFile", { POOLMESH_NATS_TLS_CERT_FILE: "/f" }],
    ["natsTlsKeyFile", { POOLMESH_NATS_TLS_KEY_FILE: "/f" }],
    ["tlsCertFile", { POOLMESH_TLS_CERT_FILE: "/f" }],
    ["tlsKeyFile", { POOLMESH_TLS_KEY_FILE: "/f" }],
    ["policyFile", { POOLMESH_POLICY_FILE: "/f", POOLMESH_CONTROL_TOKEN: "t" }],
    ["isolation", { POOLMESH_EXEC: "cat", POOLMESH_ISOLATION: "thread" }],
    ["coalesceMs", { POOLMESH_COALESCE_MS: "500", POOLMESH_HEARTBEAT_INTERVAL_MS: "200" }],
    ["inboxPrefix", { POOLMESH_INBOX_PREFIX: "pool" }],
    ["inboxPrefix", { POOLMESH_INBOX_PREFIX: "a.b.c", POOLMESH_PREFIX: "a.b" }],
    ["maxPools", { POOLMESH_POOLS: "a,b", POOLMESH_MAX_POOLS: "1" }],
    ["pools", { POOLMESH_POOLS: "a,b,a" }],
    ["parkedBytesLimit", { POOLMESH_PARKED_BYTES_LIMIT: "0" }],
  ];
  for (const [option, env] of cases) {
    const lines = message(() => readConfig(OPTIONS, env, {})).split("\n");
    assert.equal(lines.length, 2, lines.join("\n"));
    assert.ok(lines[1]?.startsWith(`  ${option}: `), lines[1]);
  }
  const fitting = { POOLMESH_INBOX_PREFIX: "poolish", POOLMESH_PARKED_BYTES_LIMIT: "0", POOLMESH_PARKED_LIMIT: "0" };
  assert.ok(readConfig(OPTIONS, fitting, {}));
});

test("config - a secret has no flag and is never shown", () => {
  const specs = pick(["controlToken", "servers"]);
  assert.equal(readConfig(specs, {}, { controlToken: "x" }, OPTIONS).controlToken, undefined);
  const text = message(() => readConfig(specs, { POOLMESH_SERVERS: "http://me:hunter2@x" }, {}, OPTIONS));
  assert.doesNotMatch(text, /hunter2/);
});

test("config - every option refuses nonsense with what is allowed", () => {
  for (const [name, { parse }] of Object.entries(OPTIONS)) {
    assert.throws(() => parse("  "), Error, `${name} refuses blanks`);
  }
  for (const text of ["-1", "1.5", "NaN", "1e308", "99999999999999999999"])
    assert.throws(() => OPTIONS.slots.parse(text));
  for (const text of ["1.2.3.4:99999", "a:b", "[::1", "8080x"]) assert.throws(() => OPTIONS.listen.parse(text));
  assert.deepEqual(OPTIONS.listen.parse("[::1]:80"), { host: "::1", port: 80 });
  assert.deepEqual(OPTIONS.listen.parse("8080"), { host: "127.0.0.1", port: 8080 });
  assert.deepEqual(OPTIONS.labels.parse("zone=a,tier=b c"), { zone: "a", tier: "b c" });
});

test("config - names of variables and flags come from the option's name", () => {
  assert.equal(envName("heartbeatIntervalMs"), "POOLMESH_HEARTBEAT_INTERVAL_MS");
  assert.equal(flagName("heartbeatIntervalMs"), "--heartbeat-interval-ms");
});
