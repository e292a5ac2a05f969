/** The commands that call a manager or a meter over HTTP, with TLS, a policy and tokens, and without any broker. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { EXIT } from "../../../cli/exit-codes.js";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { runInShell } from "../../support/docs/fake-shell.js";
import { makeCertificates } from "../../support/doors/certificates.js";
import { makePolicy } from "../../support/doors/policy.js";
import { leakGuard } from "../../support/leak-guard.js";
import { readableLog } from "../../support/log-lines.js";
import { startMesh } from "../../support/mesh.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const certificates = makeCertificates(WHOLE_FILE);
const files = await makePolicy(WHOLE_FILE);
const tokenFile = (name: string, role: Parameters<typeof files.token>[1], pools: readonly string[]): string => {
  const path = join(certificates.folder, `${name}.token`);
  writeFileSync(path, `${files.token(name, role, pools)}\n`, { mode: 0o600 });
  return path;
};
const tokens = {
  viewer: tokenFile("viewer", "viewer", ["*"]),
  ci: tokenFile("ci", "submitter", ["adder", "slow"]),
  rival: tokenFile("rival", "submitter", ["slow"]),
  elsewhere: tokenFile("elsewhere", "submitter", ["other"]),
};
files.write([{ who: "cert:client", role: "submitter", pools: ["adder"] }]);
const { log, lines } = readableLog();
const edge = {
  policyFile: files.file,
  controlToken: undefined as unknown as string,
  log,
  tlsCertFile: certificates.server.cert,
  tlsKeyFile: certificates.server.key,
  tlsClientCaFile: certificates.ca,
};
const mesh = await startMesh(WHOLE_FILE, { manager: edge, meter: edge });
await mesh.addWorker<number, number>({ pool: "adder", id: "w1", slots: 4, run: ({ payload }) => payload + 1 });
let aborted = 0;
await mesh.addWorker<string, string>({
  pool: "slow",
  id: "s1",
  slots: 4,
  codec: "text",
  run: ({ signal }) =>
    new Promise((_, reject) =>
      signal.addEventListener("abort", () => {
        aborted += 1;
        reject(new Error("aborted"));
      }),
    ),
});

/** Nobody listens at the broker's address: what works goes over HTTP. */
const NO_BROKER = { NATS_URL: "nats://127.0.0.1:1" };
const manager = (token: string): string[] => ["--url", mesh.manager.url, ...trust, "--token-file", token];
const meter = (token: string): string[] => ["--url", mesh.meter.url, ...trust, "--token-file", token];
const trust = ["--ca-file", certificates.ca];
const cli = (argv: string[], input = "", env: Record<string, string> = {}) =>
  runInShell(argv, { ...NO_BROKER, ...env }, { input });
const INPUTS = Array.from({ length: 1_000 }, (_, i) => `${i}\n`).join("");

test("map --url runs every line through the manager's stream, in order when asked, and exits as map does", async () => {
  const { code, stdout, stderr } = await cli(["map", "adder", "--ordered", ...manager(tokens.ci)], INPUTS);
  assert.equal(code, 0, stderr);
  const outcomes = stdout.trim().split("\n");
  assert.equal(outcomes.length, 1_000);
  for (const [i, line] of outcomes.entries()) {
    const { index, input, result, worker } = JSON.parse(line) as Record<string, unknown>;
    assert.deepEqual([index, input, result, worker], [i, String(i), i + 1, "w1"]);
  }
  const failed = await cli(["map", "adder", ...manager(tokens.ci)], '1\n"x"\n{no json\n');
  assert.equal(failed.code, EXIT.failed, failed.stderr);
  assert.equal(failed.stdout.trim().split("\n").length, 3);
});

test("map --url shows a client certificate in place of a token", async () => {
  const pair = ["--cert-file", certificates.client.cert, "--key-file", certificates.client.key];
  const { code, stdout, stderr } = await cli(["map", "adder", "--url", mesh.manager.url, ...trust, ...pair], "41\n");
  assert.deepEqual([code, (JSON.parse(stdout) as { result: number }).result], [0, 42], stderr);
});

test("map --url ends at once with one line: no right, no token, an unknown pool, nobody there, no trust", async () => {
  const cases: [string[], number, RegExp][] = [
    [["map", "adder", ...manager(tokens.elsewhere)], EXIT.noPermission, /permission_denied.*pool adder/],
    [["map", "adder", "--url", mesh.manager.url, ...trust], EXIT.noPermission, /send a bearer token/],
    [
      ["map", "other", ...manager(tokens.elsewhere)],
      EXIT.unavailable,
      /unknown_pool.* has heard of no worker of pool other/,
    ],
    [["map", "adder", "--url", "https://127.0.0.1:1", ...trust], EXIT.unavailable, /no manager at https/],
    [
      ["map", "adder", "--url", mesh.manager.url, "--ca-file", certificates.otherCa, "--token-file", tokens.ci],
      EXIT.unavailable,
      /is not trusted .*--ca-file/,
    ],
  ];
  for (const [argv, code, text] of cases) {
    const ended = await cli(argv, "1\n2\n");
    assert.deepEqual([ended.code, ended.stdout], [code, ""], ended.stderr);
    assert.match(ended.stderr, text);
    assert.equal(ended.stderr.trim().split("\n").length, 1);
  }
});

test("cancel --url ends one's own job, and says so when it is somebody else's or nobody's", async () => {
  const job = cli(["submit", "slow", "x", "--id", "long-1", ...manager(tokens.ci)]);
  await eventually(async () => {
    const ended = await cli(["cancel", "slow", "long-1", ...manager(tokens.rival)]);
    return ended.code === EXIT.noPermission;
  });
  const ended = await cli(["cancel", "slow", "long-1", ...manager(tokens.ci)]);
  assert.deepEqual([ended.code, ended.stderr], [0, ""]);
  const { code, stderr } = await job;
  assert.equal(code, EXIT.failed);
  assert.match(stderr, /canceled/);
  await eventually(() => aborted === 1);
  const nobody = await cli(["cancel", "slow", "long-2", ...manager(tokens.ci)]);
  assert.deepEqual([nobody.code, /not_found/.test(nobody.stderr)], [EXIT.failed, true], nobody.stderr);
  assert.ok(
    lines.some(({ audit, who, what }) => audit === "refused" && who === "token:rival" && /Cancel/.test(String(what))),
  );
});

test("workers --url lists what a meter knows, of one pool or of all, and what a manager knows of one pool", async () => {
  await eventually(async () => (await cli(["workers", ...meter(tokens.viewer)])).code === 0);
  const all = await cli(["workers", "--json", ...meter(tokens.viewer)]);
  const names = (JSON.parse(all.stdout) as { worker: string }[]).map(({ worker }) => worker);
  assert.deepEqual(names, ["w1", "s1"], all.stderr);
  for (const where of [meter, manager]) {
    const { code, stdout, stderr } = await cli(["workers", "adder", ...where(tokens.ci)]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^POOL +WORKER +STATE .*\nadder +w1 +READY /);
    assert.doesNotMatch(stdout, /s1/);
  }
  const one = await cli(["workers", ...manager(tokens.viewer)]);
  assert.deepEqual([one.code, /a manager lists one: name it/.test(one.stderr)], [EXIT.usage, true], one.stderr);
  const denied = await cli(["workers", ...meter(tokens.ci)]);
  assert.equal(denied.code, EXIT.noPermission, denied.stderr);
  const none = await cli(["workers", "nowhere", ...meter(tokens.viewer)]);
  assert.equal(none.code, EXIT.unavailable, none.stderr);
});

test("the URL, the CA and the token may stand in the environment, so that no command repeats them", async () => {
  const env = {
    POOLMESH_URL: mesh.manager.url,
    POOLMESH_CA_FILE: certificates.ca,
    POOLMESH_TOKEN_FILE: tokens.ci,
  };
  const submitted = await cli(["submit", "adder", "41"], "", env);
  assert.deepEqual([submitted.code, submitted.stdout], [0, "42"], submitted.stderr);
  const mapped = await cli(["map", "adder"], "1\n", env);
  assert.equal(mapped.code, 0, mapped.stderr);
  const listed = await cli(["workers", "adder"], "", env);
  assert.match(listed.stdout, /w1/, listed.stderr);
  const shown = await cli(
    ["top", "--once", "--json", "--meter", mesh.meter.url, "--token-file", tokens.viewer],
    "",
    env,
  );
  assert.equal(shown.code, 0, shown.stderr);
});

test("jobs that are under way when the manager goes end as perhaps executed, and the others of the run go on", async (t) => {
  const other = await startMesh(t, { manager: { ...edge, graceMs: 0 } });
  await other.addWorker<string, string>({ pool: "slow", slots: 9, codec: "text", run: () => new Promise(() => {}) });
  const at = ["--url", other.manager.url, ...trust, "--token-file", tokens.ci];
  const run = cli(["map", "slow", "--window", "3", "--timeout-ms", "3000", ...at], "a\nb\nc\nd\n");
  await eventually(async () => {
    const { stdout } = await cli(["workers", "slow", "--json", ...at]);
    return /"busy": 3/.test(stdout);
  });
  await other.manager.stop();
  const { code, stdout } = await run;
  assert.equal(code, EXIT.failed);
  const errors = stdout
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { error: Record<string, unknown> }).error);
  assert.equal(errors.length, 4);
  assert.ok(errors.filter(({ maybeExecuted }) => maybeExecuted === true).length >= 3, stdout);
});
