/** `poolmesh up` with TLS and a policy, with real processes, and what it says when it is open. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { EXIT } from "../../../cli/exit-codes.js";
import { hintLines } from "../../../cli/up/ready-line.js";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { runInShell } from "../../support/docs/fake-shell.js";
import { makeCertificates } from "../../support/doors/certificates.js";
import { makePolicy } from "../../support/doors/policy.js";
import { leakGuard } from "../../support/leak-guard.js";
import { programFile } from "../../support/program-file.js";
import { startUp } from "../../support/up.js";

leakGuard();
const ADDER = ["--pool", "adder", "--handler", programFile("../../support/handlers/plus-one", import.meta.url)];
const certificates = makeCertificates(WHOLE_FILE);
const files = await makePolicy(WHOLE_FILE);
const token = files.token("ci", "operator", ["*"]);
files.write([]);
const tokenFile = join(certificates.folder, "ci.token");
writeFileSync(tokenFile, token, { mode: 0o600 });
const TLS = ["--tls-cert-file", certificates.server.cert, "--tls-key-file", certificates.server.key];
const NO_BROKER = { NATS_URL: "nats://127.0.0.1:1" };

test("up with TLS and a policy serves https to who bears a token, restarts its workers, and shows no secret", async (t) => {
  const mesh = await startUp(t, [...ADDER, "--workers", "2", ...TLS, "--policy-file", files.file, "--control"]);
  const { manager, meter, workers = [] } = mesh.ready;
  for (const url of [manager, meter]) assert.match(url, /^https:\/\/127\.0\.0\.1:\d+$/);
  const remote = ["--ca-file", certificates.ca, "--token-file", tokenFile];
  const cli = (...argv: string[]) => runInShell([...argv, "--ca-file", certificates.ca], NO_BROKER);
  const submitted = await cli("submit", "adder", "41", "--url", manager, "--token-file", tokenFile);
  assert.deepEqual([submitted.code, submitted.stdout], [0, "42"], submitted.stderr);
  const shy = await cli("submit", "adder", "41", "--url", manager);
  assert.equal(shy.code, EXIT.noPermission, shy.stderr);
  const listed = await runInShell(["workers", "--url", meter, ...remote], NO_BROKER);
  for (const id of workers) assert.match(listed.stdout, new RegExp(`adder +${id} +READY`), listed.stderr);
  const { password } = new URL(mesh.natsUrl);
  assert.ok(password.length > 20);
  for (const pid of mesh.pids) {
    const [argv, environment] = ["cmdline", "environ"].map((name) => readFileSync(`/proc/${pid}/${name}`, "utf8"));
    assert.ok(!argv?.includes(token) && !environment?.includes(token), `process ${pid}`);
    assert.ok(!argv?.includes(password), `process ${pid}`);
  }
  const restarted = await mesh.run(["restart", "--pool", "adder"]);
  assert.deepEqual([restarted.code, restarted.stdout.trim().split("\n").length], [0, 2], restarted.stderr);
  const { stdout, stderr } = await mesh.process.stop();
  assert.ok(!(stdout + stderr).includes(token.slice(3)));
});

test("up beyond loopback without TLS and a policy is refused, and with --insecure each service says what it means", async (t) => {
  const far = ["--manager-listen", "0.0.0.0:0", "--meter-listen", "0.0.0.0:0"];
  const refused = await startUpToItsEnd(t, far);
  assert.match(refused, /listen 0\.0\.0\.0: .*needs --tls-cert-file and --tls-key-file, and --policy-file/);
  const mesh = await startUp(t, [...far, "--insecure"]);
  const { stderr } = await mesh.process.stop();
  for (const service of ["manager", "meter"]) {
    assert.match(
      stderr,
      new RegExp(
        `"process":"${service}","level":"warn","msg":"insecure: whoever is on the way reads .*whoever reaches`,
      ),
    );
  }
});

test("up refuses half of what TLS needs before anything is started", async () => {
  const half = await runInShell(["up", "--tls-cert-file", certificates.server.cert], {});
  assert.deepEqual([half.code, /tlsCertFile: needs tlsKeyFile/.test(half.stderr)], [EXIT.config, true], half.stderr);
});

test("what up prints next fits how it is open: a control token without a policy, a caller's token and the CA with one", () => {
  const facts = { pids: { manager: 1, meter: 2, workers: [] }, workerIds: ["w"], pool: "adder", slots: 1 };
  const urls = (scheme: string) => ({ nats: "nats://h:1", manager: `${scheme}://m:1`, meter: `${scheme}://n:2` });
  const open = hintLines({ ...facts, urls: urls("http") }, { hasPolicy: false }).join("\n");
  assert.match(open, /control token, for workers over HTTP: {2}poolmesh token control/);
  assert.doesNotMatch(open, /--ca-file|--token-file/);
  const closed = hintLines({ ...facts, urls: urls("https") }, { hasPolicy: true }).join("\n");
  assert.doesNotMatch(closed, /control token/);
  assert.match(closed, /poolmesh token new NAME --role submitter --pool adder --out NAME\.token/);
  assert.match(closed, /submit adder PAYLOAD --url https:\/\/m:1 --ca-file CA\.pem --token-file NAME\.token/);
  assert.match(closed, /top --meter https:\/\/n:2 --ca-file CA\.pem --token-file NAME\.token/);
});

/** What an `up` that ends by itself says on stderr. */
async function startUpToItsEnd(t: Parameters<typeof startUp>[0], args: readonly string[]): Promise<string> {
  const { startCli } = await import("../../support/process.js");
  const up = startCli(t, ["up", ...args], { env: { NATS_URL: undefined } });
  const { code, stderr } = await up.exit(60_000);
  assert.notEqual(code, 0);
  return stderr;
}
