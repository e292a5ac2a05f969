/** The policy file, the tokens file, roles, and who a token makes its bearer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PolicyIdentity } from "../../../mesh/auth/identity.js";
import { Mistakes } from "../../../mesh/auth/policy/mistakes.js";
import { grantsOfClaims, parsePolicy } from "../../../mesh/auth/policy/policy.js";
import { PolicyKeeper } from "../../../mesh/auth/policy/policy-keeper.js";
import { grantOf, isGranted, ROLES } from "../../../mesh/auth/policy/roles.js";
import { newToken, readTokenRecords } from "../../../mesh/auth/policy/tokens.js";
import { silentLog } from "../../../mesh/process/log.js";
import { makePolicy } from "../../support/doors/policy.js";
import { leakGuard } from "../../support/leak-guard.js";

leakGuard();

const JWT = { jwks: "keys.json", issuer: "https://idp.test", audience: "poolmesh" };

function messageOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return (error as Error).message;
  }
  return "";
}

test("each role may do what the one before it may, and more; only a submitter does not see the jobs of others", () => {
  const rights = ROLES.map((role) => new Set(grantOf(role, ["*"]).rights));
  rights.slice(1).forEach((each, at) => {
    const before = [...(rights[at] ?? [])].filter((right) => ROLES[at + 1] !== "submitter" || right !== "jobs");
    for (const right of before) assert.ok(each.has(right), `${ROLES[at + 1]} ${right}`);
    assert.ok(each.size > before.length);
  });
  assert.deepEqual([...(rights[0] ?? [])], ["view", "jobs"]);
  assert.deepEqual([...(rights[1] ?? [])], ["view", "submit"]);
});

test("a pattern covers the names that fit it, and only * covers all pools together", () => {
  const covers = (pattern: string, pool: string): boolean => isGranted([grantOf("viewer", [pattern])], "view", pool);
  for (const [pattern, pool] of [
    ["a", "a"],
    ["*", "a"],
    ["*", ""],
    ["a*", "a"],
    ["a*", "abc"],
    ["*c", "abc"],
    ["a*c", "abc"],
    ["a*b*c", "a-b-c"],
    ["*b*", "abc"],
  ] as const) {
    assert.ok(covers(pattern, pool), `${pattern} ${pool}`);
  }
  for (const [pattern, pool] of [
    ["a", "ab"],
    ["a", "A"],
    ["a", ""],
    ["a*", ""],
    ["a*", "ba"],
    ["a*a", "a"],
    ["a*b*a", "aba-"],
    ["ab*ba", "aba"],
  ] as const) {
    assert.ok(!covers(pattern, pool), `${pattern} ${pool}`);
  }
});

test("a policy's mistakes are told all at once, each with its place, and no value is repeated", () => {
  const text = JSON.stringify({
    token: "t.json",
    jwt: { jwks: "http://idp.test/keys", audience: "", clockToleranceSeconds: "hunter2", issuer: 7 },
    grants: [
      { who: "hunter2", role: "viewer", pools: ["a"] },
      { who: "everyone", role: "king", pools: ["a", "b c"] },
      { who: "cert:x", role: "viewer", pools: [], pool: "a" },
      { who: "cert.cn:x", role: "viewer", pools: "a" },
      "hunter2",
    ],
  });
  const lines = messageOf(() => parsePolicy(text, "policyFile")).split("\n  ");
  for (const [at, what] of [
    ["token", "unknown; did you mean tokens?"],
    ["jwt.jwks", "use https"],
    ["jwt.audience", "use the `aud`"],
    ["jwt.issuer", "use the `iss`"],
    ["jwt.clockToleranceSeconds", "use a number from 0 to 300"],
    ["grants[0].who", 'use "everyone"'],
    ["grants[1].role", "use one of viewer, submitter, operator, admin"],
    ["grants[1].pools[1]", "use pool names"],
    ["grants[2].pool", "unknown; did you mean pools?"],
    ["grants[2].pools", "use a list"],
    ["grants[3].who", 'use "everyone"'],
    ["grants[3].pools", "use a list"],
    ["grants[4]", "use an object"],
  ]) {
    assert.ok(
      lines.some((line) => line.startsWith(`${at}: ${what}`)),
      `${at}: ${what} in ${lines.join("\n")}`,
    );
  }
  assert.equal(lines.length, 14);
  assert.doesNotMatch(lines.join("\n"), /hunter2|king/);
  assert.match(
    messageOf(() => parsePolicy("{", "policyFile")),
    /not valid JSON/,
  );
  assert.match(
    messageOf(() => parsePolicy('{"grants":[{"who":"jwt:a","role":"viewer","pools":["*"]}]}', "policyFile")),
    /grants\[0\]\.who: needs jwt/,
  );
  assert.deepEqual(parsePolicy("{}", "policyFile").grants, []);
});

test("a tokens file with a mistake is refused, and what it holds is not repeated", () => {
  const sha256 = "a".repeat(64);
  const good = { name: "ci", sha256, role: "viewer", pools: ["*"] };
  const mistakes = new Mistakes();
  readTokenRecords(
    JSON.stringify({ tokens: [good, good, { ...good, sha256: newToken(), expires: "soon" }] }),
    mistakes,
  );
  const message = messageOf(() => mistakes.throwIfAny("tokens"));
  assert.match(message, /tokens\[1\]\.name: is there twice\n/);
  assert.match(message, /tokens\[2\]\.sha256: use the 64/);
  assert.match(message, /tokens\[2\]\.expires: use a date/);
  assert.doesNotMatch(message, /pm_|aaaa/);
});

test("a token makes its bearer who it says, and every false one makes nobody", async (t) => {
  const files = await makePolicy(t);
  const ci = files.token("ci", "submitter", ["adder"]);
  const old = files.token("old", "admin", ["*"], "2020-01-01T00:00:00Z");
  files.write([
    { who: "jwt:alice", role: "operator", pools: ["adder*"] },
    { who: "jwt.groups:ops", role: "admin", pools: ["*"] },
    { who: "cert:billing", role: "viewer", pools: ["bills"] },
  ]);
  const keeper = new PolicyKeeper(files.file, silentLog);
  keeper.start();
  t.after(() => keeper.stop());
  const identity = new PolicyIdentity(keeper);
  const byToken = await identity.ofToken(ci);
  assert.deepEqual(
    [byToken.name, byToken.may("submit", "adder"), byToken.may("submit", "b")],
    ["token:ci", true, false],
  );
  const alice = await identity.ofToken(await files.jwt("alice"));
  assert.deepEqual(
    [alice.name, alice.may("control", "adder-2"), alice.may("read", "adder")],
    ["jwt:alice", true, false],
  );
  assert.ok((await identity.ofToken(await files.jwt("bob", { groups: ["dev", "ops"] }))).may("read", ""));
  assert.ok(!(await identity.ofToken(await files.jwt("bob", { groups: "opsy" }))).mayAnywhere("view"));
  const endsAtMs = Date.now() + 60_000;
  assert.ok(identity.ofCertificate({ name: "billing", endsAtMs }).may("view", "bills"));
  assert.ok(!identity.ofCertificate({ name: "alice", endsAtMs }).mayAnywhere("view"));
  assert.ok(!identity.nobody().mayAnywhere("view"));
  for (const [what, token] of Object.entries({ ...(await files.badJwts("alice")), old, "no token": "a.b.c", x: "x" })) {
    await assert.rejects(
      async () => identity.ofToken(token),
      (error: Error & { reason: string }) => {
        assert.equal(error.reason, "unauthenticated", what);
        assert.ok(!error.message.includes(token.slice(0, 20)) || token.length < 8, what);
        return true;
      },
      what,
    );
  }
});

test("a claim is named by its whole name, be it a URL with dots and slashes, or by the path to it", () => {
  const claimOf = (who: string): unknown => {
    const [grant] = parsePolicy(
      JSON.stringify({ jwt: JWT, grants: [{ who, role: "viewer", pools: ["*"] }] }),
      "policyFile",
    ).grants;
    return grant?.who;
  };
  for (const [who, claim, value] of [
    ["jwt.groups:ops", "groups", "ops"],
    ["jwt.groups:urn:ops:x", "groups", "urn:ops:x"],
    ["jwt.https://example.com/groups:ops", "https://example.com/groups", "ops"],
    ["jwt.https://example.com:8443/claims/groups:a:b", "https://example.com:8443/claims/groups", "a:b"],
    ["jwt.realm_access.roles:ops", "realm_access.roles", "ops"],
  ] as const) {
    assert.deepEqual(claimOf(who), { kind: "claim", claim, value }, who);
  }
  assert.deepEqual(claimOf("jwt:auth0|7:x"), { kind: "jwt", name: "auth0|7:x" });
  const policy = (who: string) =>
    parsePolicy(JSON.stringify({ jwt: JWT, grants: [{ who, role: "viewer", pools: ["*"] }] }), "policyFile");
  const url = policy("jwt.https://example.com/groups:ops");
  assert.equal(grantsOfClaims(url, { "https://example.com/groups": ["dev", "ops"] }).length, 1);
  const nested = policy("jwt.realm_access.roles:ops");
  assert.equal(grantsOfClaims(nested, { realm_access: { roles: ["ops"] } }).length, 1);
  assert.equal(grantsOfClaims(nested, { "realm_access.roles": ["dev"], realm_access: { roles: ["ops"] } }).length, 0);
  for (const claims of [
    { realm_access: "ops" },
    { realm_access: null },
    { realm_access: { roles: { ops: true } } },
    {},
  ]) {
    assert.equal(grantsOfClaims(nested, claims).length, 0);
  }
  assert.equal(grantsOfClaims(policy("jwt.__proto__.x:ops"), {}).length, 0);
});
