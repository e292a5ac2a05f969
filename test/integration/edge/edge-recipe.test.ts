/** The recipes of docs/security.md, and files that others on the machine may read or change. */
import assert from "node:assert/strict";
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { EXIT } from "../../../cli/exit-codes.js";
import { looseness } from "../../../mesh/process/files/file-modes.js";
import { cleanUp } from "../../support/clean-up.js";
import { runInShell } from "../../support/docs/fake-shell.js";
import { snippetsOf, stepsOf } from "../../support/docs/snippets.js";
import { makeCertificates } from "../../support/doors/certificates.js";
import { echoServer } from "../../support/doors/http-service.js";
import { leakGuard } from "../../support/leak-guard.js";
import { readableLog } from "../../support/log-lines.js";
import { CLI, run, startProcess } from "../../support/process.js";
import { scratchFolder } from "../../support/up.js";

leakGuard();
const DOCUMENT = "docs/security.md";
const LIMIT_MS = 60_000;

test("the recipe for one host is complete: its commands, as they stand, serve jobs, need tokens and leave no file to others", async (t) => {
  const cwd = await scratchFolder(t, { "adder.mjs": "export const run = ({ payload }) => payload + 1;\n" });
  // The command from any folder: its loader and its file are found from here.
  const self = CLI.map((each) =>
    each === "tsx" ? import.meta.resolve(each) : each.replace(/^[a-z].*/, (path) => resolve(path)),
  );
  const poolmesh = [process.execPath, ...self].map((each) => `'${each}'`).join(" ");
  const [serving = [], calling = []] = snippetsOf(DOCUMENT, readFileSync(DOCUMENT, "utf8"))
    .filter(({ notRun = "" }) => notRun.includes("edge-recipe.test.ts"))
    .map((snippet) => stepsOf(snippet).map(({ command }) => command.replace("npx poolmesh", `exec ${poolmesh}`)));
  assert.deepEqual([serving.length, calling.length], [5, 4]);
  const env = { NATS_URL: undefined, XDG_STATE_HOME: join(cwd, "state"), POOLMESH_URL: undefined };
  const script = serving.map((line, i) => (i === serving.length - 1 ? line : line.replace("exec ", ""))).join("\n");
  const up = startProcess(t, "bash", ["-c", script], { cwd, env });
  cleanUp(t, () => up.stop());
  const [, managerUrl = ""] = await up.line(/^ready .*manager=(\S+)/, LIMIT_MS);
  for (const name of ["ci.token", "ops.token", "tokens.json", "policy.json"]) {
    assert.equal(statSync(join(cwd, name)).mode & 0o777, 0o600, name);
  }
  const outputs: string[] = [];
  for (const line of calling) {
    const command = line.replaceAll("http://127.0.0.1:8080", managerUrl);
    const { code, stdout, stderr } = await run(t, "bash", ["-c", command], { cwd, env, limitMs: LIMIT_MS });
    assert.deepEqual([code, stderr], [0, ""], command);
    outputs.push(stdout);
  }
  assert.match(outputs.join("\n"), /^42\n[\s\S]*READY[\s\S]*PAUSED[\s\S]*READY/);
  const shy = await runInShell(["submit", "adder", "41", "--url", managerUrl], {});
  assert.equal(shy.code, EXIT.noPermission, shy.stderr);
  const { stderr } = await up.stop();
  assert.doesNotMatch(stderr, /chmod/);
  assert.equal(
    stderr.match(/"audit":"allowed","who":"token:ops".*PauseWorker|PauseWorker.*"audit":"allowed"/g)?.length,
    1,
    stderr,
  );
});

test("each secret and each rule that others of the machine may read or change is one warning that names the file and the chmod", async (t) => {
  const certificates = makeCertificates(t);
  const folder = await scratchFolder(t, {
    "policy.json": '{ "tokens": "tokens.json" }',
    "tokens.json": '{ "tokens": [] }',
  });
  const [policyFile, tokens] = [join(folder, "policy.json"), join(folder, "tokens.json")];
  const { cert: tlsCertFile, key: tlsKeyFile } = certificates.server;
  const warnings = async (modes: Record<string, number>): Promise<string[]> => {
    for (const [path, mode] of Object.entries(modes)) chmodSync(path, mode);
    const { log, lines } = readableLog();
    const { server } = echoServer({ tls: { tlsCertFile, tlsKeyFile }, access: { policyFile }, log });
    await server.start();
    await server.stop();
    return lines.filter(({ level }) => level === "warn").map(({ msg }) => msg);
  };
  const tight = { [policyFile]: 0o644, [tokens]: 0o600, [tlsKeyFile]: 0o600, [tlsCertFile]: 0o644 };
  assert.deepEqual(await warnings(tight), []);
  const loose = await warnings({ [policyFile]: 0o666, [tokens]: 0o620, [tlsKeyFile]: 0o644, [tlsCertFile]: 0o646 });
  assert.equal(loose.length, 4);
  for (const [path, chmod] of [
    [policyFile, "go-w"],
    [tokens, "go-w"],
    [tlsKeyFile, "600"],
    [tlsCertFile, "go-w"],
  ] as const) {
    assert.equal(
      loose.filter((line) => line.startsWith(path) && line.endsWith(`: chmod ${chmod} ${path}`)).length,
      1,
      path,
    );
  }
});

test("a command warns of a token file and a broker's credential that others may read, and uses them", async (t) => {
  const folder = await scratchFolder(t, { "ci.token": "pm_x", "user.nk": "SU" });
  const [token, seed] = [join(folder, "ci.token"), join(folder, "user.nk")];
  for (const path of [token, seed]) chmodSync(path, 0o644);
  const remote = ["submit", "adder", "1", "--url", "http://127.0.0.1:1", "--token-file", token];
  const broker = ["workers", "--nkey-file", seed];
  for (const [argv, path] of [
    [remote, token],
    [broker, seed],
  ] as const) {
    const { stderr } = await runInShell(argv, { NATS_URL: "nats://127.0.0.1:1" });
    assert.ok(
      stderr.includes(
        `warning: ${path} holds a secret and can be read by other users of this machine: chmod 600 ${path}`,
      ),
      stderr,
    );
    chmodSync(path, 0o600);
    assert.doesNotMatch((await runInShell(argv, { NATS_URL: "nats://127.0.0.1:1" })).stderr, /chmod/);
  }
  assert.match(looseness("/etc/passwd", "secret") ?? "", /chmod 600/, "root's files that all may read");
  assert.equal(looseness(join(folder, "none"), "secret"), undefined);
});

test("a file in a folder where every user may put another one in its place is told, whatever mode it has", async (t) => {
  const folder = await scratchFolder(t, { "policy.json": "{}" });
  const file = join(folder, "policy.json");
  chmodSync(file, 0o600);
  for (const [mode, isTold] of [
    [0o777, true],
    [0o1777, false],
    [0o700, false],
  ] as const) {
    chmodSync(folder, mode);
    for (const holds of ["secret", "rules"] as const) {
      const line = looseness(file, holds);
      assert.equal(line?.endsWith(`: chmod go-w ${folder}`) === true, isTold, `${mode.toString(8)} ${line}`);
    }
  }
});

test("token --out writes a new file of mode 600, replaces none, and leaves no token behind when it cannot", async (t) => {
  const folder = await scratchFolder(t);
  const [out, tokens] = [join(folder, "ci.token"), join(folder, "tokens.json")];
  const make = (name: string, path = out) =>
    runInShell(["token", "new", name, "--role", "viewer", "--pool", "*", "--file", tokens, "--out", path]);
  const made = await make("ci");
  assert.deepEqual([made.code, made.stdout], [0, ""], made.stderr);
  assert.match(readFileSync(out, "utf8"), /^pm_[\w-]{43}\n$/);
  assert.equal(statSync(out).mode & 0o777, 0o600);
  const before = readFileSync(tokens, "utf8");
  const again = await make("other");
  assert.deepEqual([again.code, /is there already/.test(again.stderr)], [EXIT.usage, true], again.stderr);
  assert.equal((await make("ci", join(folder, "second.token"))).code, EXIT.usage);
  assert.throws(() => statSync(join(folder, "second.token")));
  assert.equal(readFileSync(tokens, "utf8"), before);
  writeFileSync(tokens, "{");
  assert.notEqual((await make("third", join(folder, "third.token"))).code, 0);
  assert.throws(() => statSync(join(folder, "third.token")));
});
