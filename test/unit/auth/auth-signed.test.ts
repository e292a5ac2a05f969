/** Signed tokens against key sets of every kind, and tokens that no longer are what they were. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { Audit } from "../../../mesh/auth/audit.js";
import { Bearers } from "../../../mesh/auth/bearer.js";
import { PolicyIdentity } from "../../../mesh/auth/identity.js";
import { PolicyKeeper } from "../../../mesh/auth/policy/policy-keeper.js";
import { silentLog } from "../../../mesh/process/log.js";
import type { Owner } from "../../support/clean-up.js";
import { AUDIENCE, ISSUER, makePolicy, type PolicyFiles } from "../../support/doors/policy.js";
import { leakGuard } from "../../support/leak-guard.js";
import { readableLog } from "../../support/log-lines.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const ALICE = [{ who: "jwt:alice", role: "viewer", pools: ["*"] }];

async function setUp(t: Owner): Promise<{ files: PolicyFiles; keeper: PolicyKeeper; identity: PolicyIdentity }> {
  const files = await makePolicy(t);
  files.write(ALICE);
  const keeper = new PolicyKeeper(files.file, silentLog, 10);
  keeper.start();
  t.after(() => keeper.stop());
  return { files, keeper, identity: new PolicyIdentity(keeper) };
}

function sign(key: Parameters<SignJWT["sign"]>[0], header: { alg: string; kid?: string }): Promise<string> {
  const claims = { sub: "alice", iss: ISSUER, aud: AUDIENCE };
  return new SignJWT(claims).setProtectedHeader(header).setExpirationTime("5m").sign(key);
}

/** Writes a key set and waits until it is in force. */
async function publish(files: PolicyFiles, keeper: PolicyKeeper, keys: readonly JWK[]): Promise<void> {
  const before = keeper.now;
  writeFileSync(join(files.folder, "keys.json"), JSON.stringify({ keys }));
  await eventually(() => keeper.now !== before);
}

const messageOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "",
    (error: Error) => error.message,
  );

test("a signed token that names no key is checked with every key that fits it", async (t) => {
  const { files, keeper, identity } = await setUp(t);
  const [one, two, stranger] = await Promise.all([1, 2, 3].map(() => generateKeyPair("RS256", { extractable: true })));
  assert.ok(one && two && stranger);
  const jwks = await Promise.all([one, two].map(({ publicKey }) => exportJWK(publicKey)));
  await publish(
    files,
    keeper,
    jwks.map((jwk, i) => ({ ...jwk, kid: `k${i}` })),
  );
  for (const { privateKey } of [one, two]) {
    assert.equal((await identity.ofToken(await sign(privateKey, { alg: "RS256" }))).name, "jwt:alice");
  }
  const foreign = sign(stranger.privateKey, { alg: "RS256" });
  assert.match(
    await messageOf(foreign.then((token) => identity.ofToken(token) as Promise<unknown>)),
    /no key .* has signed it/,
  );
});

test("a clock that is off by less than the policy's tolerance makes no token wrong, and gives none a longer life", async (t) => {
  const { files, keeper, identity } = await setUp(t);
  const rules = { jwks: "keys.json", issuer: ISSUER, audience: AUDIENCE };
  const tolerate = async (clockToleranceSeconds: number): Promise<void> => {
    const before = keeper.now;
    files.write(ALICE, { jwt: { ...rules, clockToleranceSeconds } });
    await eventually(() => keeper.now !== before);
  };
  const now = Math.floor(Date.now() / 1_000);
  // Minutes apart, so that no pause of this test makes a difference.
  const offByTwoMinutes = [await files.jwt("alice", { exp: now - 120 }), await files.jwt("alice", { nbf: now + 120 })];
  const offByTen = [await files.jwt("alice", { exp: now - 600 }), await files.jwt("alice", { nbf: now + 600 })];
  await tolerate(300);
  for (const token of offByTwoMinutes) {
    const caller = await identity.ofToken(token);
    assert.deepEqual([caller.name, caller.may("view", "adder")], ["jwt:alice", true]);
  }
  for (const token of offByTen) await assert.rejects(async () => identity.ofToken(token));
  const [late] = offByTwoMinutes;
  const caller = await identity.ofToken(late as string);
  await tolerate(0);
  assert.ok(!caller.may("view", "adder"), "the policy in force is the one that counts");
  for (const token of offByTwoMinutes) await assert.rejects(async () => identity.ofToken(token));
});

test("a token of a caller in use is no longer right when its key, issuer or audience is not that of the policy", async (t) => {
  const { files, keeper, identity } = await setUp(t);
  const exported = await exportJWK((await generateKeyPair("ES256", { extractable: true })).publicKey);
  const known = JSON.parse(files.read("keys.json")) as { keys: JWK[] };
  const jwt = { jwks: "keys.json", issuer: ISSUER, audience: AUDIENCE };
  const changes: Readonly<Record<string, () => Promise<void>>> = {
    key: () => publish(files, keeper, [{ ...exported, kid: "k1" }]),
    issuer: async () => files.write(ALICE, { jwt: { ...jwt, issuer: "https://other.test" } }),
    audience: async () => files.write(ALICE, { jwt: { ...jwt, audience: "elsewhere" } }),
  };
  for (const [what, change] of Object.entries(changes)) {
    files.write(ALICE);
    await publish(files, keeper, known.keys);
    const token = await files.jwt("alice");
    const caller = await eventually(async () => identity.ofToken(token));
    await caller.judge();
    assert.ok(caller.may("view", "adder"), what);
    const before = keeper.now;
    await change();
    await eventually(() => keeper.now !== before);
    await caller.judge();
    assert.ok(!caller.may("view", "adder"), what);
  }
});

test("a key set with a key that is too weak is refused by its place", async (t) => {
  const { files, identity } = await setUp(t);
  const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 1_024 });
  writeFileSync(join(files.folder, "keys.json"), JSON.stringify({ keys: [publicKey.export({ format: "jwk" })] }));
  const keeper = new PolicyKeeper(files.file, silentLog);
  assert.throws(() => keeper.start(), /keys\[0\]\.n: is too weak: use an RSA key of 2048 bits or more/);
  assert.ok(identity);
});

test("a token that a key cannot check, one that is too long and one that is malformed count as wrong, and a right one does not end the wait", async (t) => {
  const { files, keeper, identity } = await setUp(t);
  const jwk = { kty: "EC", crv: "P-256", x: "AAAA", y: "AAAA", kid: "broken" };
  const { keys } = JSON.parse(files.read("keys.json")) as { keys: JWK[] };
  await publish(files, keeper, [...keys, jwk]);
  const header = Buffer.from(JSON.stringify({ alg: "ES256", kid: "broken" })).toString("base64url");
  const bad: readonly (readonly [token: string, why: RegExp])[] = [
    [`${header}.e30.AAAA`, /cannot be used/],
    ["x".repeat(8_193), /longer than 8,192 characters/],
    ["pm_a b", /no space/],
  ];
  const right = files.token("ci", "viewer", ["*"]);
  const late = files.token("late", "viewer", ["*"]);
  await eventually(() => identity.ofToken(late));
  const bearers = new Bearers(identity, new Audit(silentLog));
  const hear = (token: string): Promise<string> => messageOf((async () => bearers.callerOf(token, "10.0.0.1"))());
  for (const [token, why] of bad) {
    assert.match(await hear(token), why);
    assert.equal(await hear(right), "");
  }
  await hear("pm_wrong");
  assert.match(await hear(late), /too many wrong tokens from this address/);
  assert.equal(await hear(right), "", "a token that was right lately is looked at");
});

test("a key that has left a key set behind a URL ends the right of a token in use once the keys are fetched again, and an outage ends none", async (t) => {
  const files = await makePolicy(t);
  const { keys } = JSON.parse(files.read("keys.json")) as { keys: JWK[] };
  let answer: { status: number; keys: readonly JWK[] } = { status: 200, keys };
  const idp = createServer((_, res) => res.writeHead(answer.status).end(JSON.stringify({ keys: answer.keys })));
  await new Promise<void>((resolve) => idp.listen(0, "127.0.0.1", resolve));
  t.after(() => new Promise((resolve) => idp.close(resolve)));
  const jwks = `http://127.0.0.1:${(idp.address() as AddressInfo).port}/keys`;
  files.write(ALICE, { jwt: { jwks, issuer: ISSUER, audience: AUDIENCE } });
  const { log, named } = readableLog();
  const keeper = new PolicyKeeper(files.file, log);
  keeper.start();
  t.after(() => keeper.stop());
  const exp = Math.floor(Date.now() / 1_000) + 7_200;
  const caller = await new PolicyIdentity(keeper).ofToken(await files.jwt("alice", { exp }));
  const [wallNow, monotonicNow] = [Date.now.bind(Date), performance.now.bind(performance)];
  let aheadMs = 0;
  t.mock.method(Date, "now", () => wallNow() + aheadMs);
  t.mock.method(performance, "now", () => monotonicNow() + aheadMs);
  const later = async (now: typeof answer): Promise<boolean> => {
    answer = now;
    aheadMs += 11 * 60_000;
    await caller.judge();
    return caller.may("view", "adder");
  };
  assert.equal(caller.judge(), undefined, "it was judged just now");
  assert.equal(await later({ status: 200, keys }), true);
  assert.equal(await later({ status: 503, keys: [] }), true);
  assert.equal(named("the keys of signed tokens (jwt.jwks) cannot be fetched")[0]?.error, "HTTP status 503");
  assert.equal(await later({ status: 200, keys: [{ ...keys[0], kid: "k2" } as JWK] }), false);
});
