/** Tokens, defaults on loopback and beyond, and the commands that call over HTTP, as a person uses them. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { EXIT } from "../../../cli/exit-codes.js";
import { requireSafe } from "../../../mesh/http/public-rule.js";
import { startBroker } from "../../support/broker.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { runInShell } from "../../support/docs/fake-shell.js";
import { makeCertificates } from "../../support/doors/certificates.js";
import { leakGuard } from "../../support/leak-guard.js";
import { readableLog } from "../../support/log-lines.js";
import { startCli, type TestProcess } from "../../support/process.js";
import { scratchFolder } from "../../support/up.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const broker = await startBroker(WHOLE_FILE);
const certificates = makeCertificates(WHOLE_FILE);
const folder = await scratchFolder(WHOLE_FILE, { "adder.mjs": "export const run = ({ payload }) => payload + 1;\n" });
const env = { NATS_URL: broker.url, XDG_STATE_HOME: join(folder, "state") };
const file = (name: string): string => join(folder, name);
const TOKENS = ["--file", file("tokens.json")];

/** Runs a command in this process: starting one takes longer than all that it does here. */
function cli(argv: string[], more: Record<string, string | undefined> = {}) {
  return runInShell(argv, { ...env, ...more });
}

async function serve(
  argv: string[],
  more: Record<string, string> = {},
): Promise<{ url: string; process: TestProcess }> {
  const process = startCli(WHOLE_FILE, [...argv, "--listen", "127.0.0.1:0"], { env: { ...env, ...more } });
  const [line] = await process.line(/^\{.*"msg":"ready".*$/, 60_000);
  return { url: String((JSON.parse(line) as { url: string }).url), process };
}

async function newToken(name: string, role: string, pool: string): Promise<string> {
  const { code, stdout, stderr } = await cli(["token", "new", name, "--role", role, "--pool", pool, ...TOKENS]);
  assert.equal(code, 0, stderr);
  writeFileSync(file(`${name}.token`), stdout, { mode: 0o600 });
  return stdout.trim();
}

const worker = startCli(WHOLE_FILE, ["worker", "--pool", "adder", "--handler", file("adder.mjs"), "--id", "w1"], {
  env,
});
await worker.line(/"msg":"ready"/, 60_000);

test("a token is printed once, only its hash is kept, it is listed, and revoked", async () => {
  const token = await newToken("once", "viewer", "add*");
  assert.match(token, /^pm_[\w-]{43}$/);
  const kept = readFileSync(file("tokens.json"), "utf8");
  assert.ok(!kept.includes(token.slice(3)));
  assert.equal(statSync(file("tokens.json")).mode & 0o777, 0o600);
  const again = await cli(["token", "new", "once", "--role", "viewer", "--pool", "*", ...TOKENS]);
  assert.deepEqual([again.code, again.stdout], [EXIT.usage, ""]);
  assert.match(
    (await cli(["token", "list", ...TOKENS])).stdout,
    /^NAME +ROLE +POOLS +ENDS\nonce +viewer +add\* +never\n$/,
  );
  assert.equal((await cli(["token", "revoke", "once", ...TOKENS])).code, 0);
  assert.equal((await cli(["token", "revoke", "once", ...TOKENS])).code, EXIT.failed);
  for (const argv of [
    ["bogus"],
    ["new"],
    ["new", "x", "--role", "king"],
    ["new", "x", "--role", "viewer", "--pool", "a b"],
  ]) {
    const { code, stderr } = await cli(["token", ...argv, ...TOKENS]);
    assert.equal(code, EXIT.usage, stderr);
  }
  for (const argv of [["list"], ["revoke", "once"]]) {
    const { code, stdout, stderr } = await cli(["token", ...argv, "--file", file("nowhere.json")]);
    assert.deepEqual([code, stdout], [EXIT.usage, ""]);
    assert.match(stderr, /cannot read .*nowhere\.json \(ENOENT\)/);
  }
});

test("on loopback without a policy everybody submits, and control needs the token that only this user can read", async () => {
  const { url, process } = await serve(["manager"]);
  const submitted = await cli(["submit", "adder", "41", "--url", url], { NATS_URL: "nats://127.0.0.1:1" });
  assert.deepEqual([submitted.code, submitted.stdout], [0, "42"], submitted.stderr);
  const noBroker = { ...env, NATS_URL: "nats://127.0.0.1:1" };
  const mapped = await runInShell(["map", "adder", "--url", url], noBroker, { input: "41\n" });
  assert.deepEqual([mapped.code, /"result":42,/.test(mapped.stdout)], [0, true], mapped.stdout + mapped.stderr);
  const path = join(env.XDG_STATE_HOME, "poolmesh", "control-token");
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(path, "..")).mode & 0o777, 0o700);
  const pause = ["pause", "w1", "--pool", "adder", "--url", url];
  const stranger = await cli(pause, { XDG_STATE_HOME: file("another-state") });
  assert.equal(stranger.code, EXIT.noPermission);
  assert.match(stranger.stderr, /send the control token/);
  assert.match((await cli(pause)).stdout, /^adder\/w1 {2}PAUSED/);
  assert.match((await cli(["resume", ...pause.slice(1)])).stdout, /^adder\/w1 {2}READY/);
  assert.equal((await cli(["token", "control"])).stdout, readFileSync(path, "utf8"));
  await process.stop();
  assert.match(
    process.stdout,
    /"audit":"allowed","who":"control-token","what":"\/poolmesh.v1.ManagerService\/PauseWorker"/,
  );
  assert.match(process.stdout, /"audit":"refused","who":"nobody"/);
  assert.doesNotMatch(process.stdout, /pm_/);
});

test("a control token that others can read is not taken", async () => {
  const state = file("loose-state");
  mkdirSync(join(state, "poolmesh"), { recursive: true });
  writeFileSync(join(state, "poolmesh", "control-token"), "pm_known-to-all\n");
  chmodSync(join(state, "poolmesh", "control-token"), 0o644);
  const { process } = await serve(["manager"], { XDG_STATE_HOME: state });
  assert.match(process.stdout, /can be read by others: chmod 600 .*no control of workers over HTTP/);
  await process.stop();
});

test("with TLS, a policy and a token: submit, top and control call over https, and no secret is in any output", async () => {
  const token = await newToken("ci", "operator", "*");
  writeFileSync(file("policy.json"), '{ "tokens": "tokens.json" }');
  const tls = ["--tls-cert-file", certificates.server.cert, "--tls-key-file", certificates.server.key];
  const edge = [...tls, "--policy-file", file("policy.json")];
  const [manager, meter] = await Promise.all([serve(["manager", ...edge]), serve(["meter", ...edge])]);
  const remote = ["--ca-file", certificates.ca, "--token-file", file("ci.token")];
  const none = { NATS_URL: "nats://127.0.0.1:1" };
  const submitted = await cli(["submit", "adder", "41", "--url", manager.url, ...remote], none);
  assert.deepEqual([submitted.code, submitted.stdout], [0, "42"], submitted.stderr);
  const top = await cli(["top", "--once", "--json", "--meter", meter.url, ...remote], none);
  assert.equal(top.code, 0, top.stderr);
  const resized = await cli(["resize", "w1", "2", "--pool", "adder", "--url", manager.url, ...remote], none);
  assert.match(resized.stdout, /of 2 slots busy/, resized.stderr);
  const shy = await cli(["submit", "adder", "41", "--url", manager.url, "--ca-file", certificates.ca], none);
  assert.deepEqual([shy.code, /send a bearer token/.test(shy.stderr)], [EXIT.noPermission, true], shy.stderr);
  const distrust = await cli(["submit", "adder", "41", "--url", manager.url, "--ca-file", certificates.otherCa], none);
  assert.equal(distrust.code, EXIT.unavailable, distrust.stderr);
  assert.match(distrust.stderr, /is not trusted .*name its CA with --ca-file/);
  const clear = await cli(["submit", "adder", "41", "--url", "http://manager.example:1", ...remote], none);
  assert.match(clear.stderr, /token-file: a token sent over http can be read on the way/);
  await Promise.all([manager.process.stop(), meter.process.stop()]);
  const said = [manager.process, meter.process].map((each) => each.stdout + each.stderr);
  for (const text of [
    ...said,
    ...[submitted, top, resized, shy, distrust, clear].map((each) => each.stdout + each.stderr),
  ]) {
    assert.ok(!text.includes(token.slice(3)));
  }
});

test("keys of signed tokens come over https from a server whose CA NODE_EXTRA_CA_CERTS names, and the log says so when it is not named", async (t) => {
  const { publicKey, privateKey } = await generateKeyPair("RS256", { extractable: true });
  const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: "k" }] });
  const [key, cert] = [readFileSync(certificates.server.key), readFileSync(certificates.server.cert)];
  const idp = createHttpsServer({ key, cert }, (_, res) => res.end(keys));
  await new Promise<void>((done) => idp.listen(0, "127.0.0.1", done));
  cleanUp(t, () => new Promise((done) => idp.close(done)));
  const jwks = `https://127.0.0.1:${(idp.address() as AddressInfo).port}/keys`;
  const jwt = { jwks, issuer: "https://idp.test", audience: "poolmesh" };
  const grants = [{ who: "jwt:carol", role: "viewer", pools: ["*"] }];
  writeFileSync(file("signed.json"), JSON.stringify({ jwt, grants }));
  const signed = await new SignJWT({ sub: "carol", iss: jwt.issuer, aud: jwt.audience })
    .setProtectedHeader({ alg: "RS256", kid: "k" })
    .setExpirationTime("5m")
    .sign(privateKey);
  writeFileSync(file("carol.token"), signed, { mode: 0o600 });
  const meter = ["meter", "--policy-file", file("signed.json")];
  const view = (url: string) => cli(["workers", "--url", url, "--token-file", file("carol.token")]);
  const trusting = await serve(meter, { NODE_EXTRA_CA_CERTS: certificates.ca });
  await eventually(async () => /w1/.test((await view(trusting.url)).stdout));
  const wary = await serve(meter);
  const unseen = await view(wary.url);
  assert.match(unseen.stderr, /the keys that check it cannot be had now/);
  await wary.process.line(/cannot be fetched/);
  assert.match(
    wary.process.stdout,
    /"host":"127.0.0.1:\d+","error":"\w+: name the CA of the server in NODE_EXTRA_CA_CERTS"/,
  );
  await Promise.all([trusting.process.stop(), wary.process.stop()]);
});

test("beyond loopback: refused with what is missing, allowed by --insecure, which says what it means at every start", async (t) => {
  const listen = { host: "0.0.0.0", port: 0 };
  const { log, lines } = readableLog();
  const access = { policyFile: "policy.json" };
  for (const [options, missing] of [
    [{}, /needs --tls-cert-file and --tls-key-file, and --policy-file, .*--insecure does without$/],
    [{ tls: {} }, /needs --policy-file, which says who may do what/],
    [{ access }, /needs --tls-cert-file and --tls-key-file \(/],
  ] as const) {
    assert.throws(() => requireSafe({ listen, ...options }, log), missing);
  }
  requireSafe({ listen, tls: {}, access }, log);
  requireSafe({ listen: { host: "::1", port: 0 } }, log);
  assert.deepEqual(lines, []);
  const open = startCli(t, ["meter", "--listen", "0.0.0.0:0", "--insecure"], { env });
  await open.line(/"msg":"insecure: whoever is on the way reads .*; whoever reaches this port sees every pool/, 60_000);
  const silent = startCli(t, ["meter", "--listen", "0.0.0.0:0", "--insecure", "--log-level", "silent"], { env });
  await silent.errorLine(
    /^poolmesh: listen 0\.0\.0\.0: insecure: whoever is on the way reads .*; whoever reaches this port/m,
    60_000,
  );
  await open.stop();
});
