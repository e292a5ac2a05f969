/** Services that cannot start: what they say, once, in words that lead on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EXIT } from "../../../cli/exit-codes.js";
import { startBroker, WHOLE_FILE } from "../../support/broker.js";
import { runInShell } from "../../support/docs/fake-shell.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startCli } from "../../support/process.js";
import { scratchFolder } from "../../support/up.js";

leakGuard();
const broker = await startBroker(WHOLE_FILE);
const env = { NATS_URL: broker.url };

for (const argv of [
  ["manager", "--listen", "0.0.0.0:0"],
  ["meter", "--listen", "0.0.0.0:0"],
  ["up", "--no-broker", "--manager-listen", "0.0.0.0:0"],
]) {
  test(`${argv.join(" ")}: the refusal names the flag that allows it, and the program has that flag`, async (t) => {
    const { code, stdout, stderr } = await startCli(t, argv, { env, input: "" }).exit(60_000);
    assert.equal(code, EXIT.config);
    assert.match(stdout + stderr, /other machines can reach this address, so it needs --tls-cert-file .*--insecure/);
    const help = await startCli(t, [argv[0] ?? "", "--help"], { input: "" }).exit(60_000);
    assert.match(help.stdout, /^ {2}--insecure /m);
  });
}

test("a handler that throws when it is loaded shows file and line, and nothing has stopped that never was ready", async (t) => {
  const folder = await scratchFolder(t, {
    "boom.mjs": 'const key = "";\n\nif (!key) throw new Error("no API_KEY");\n',
  });
  const argv = ["worker", "--pool", "p", "--handler", `${folder}/boom.mjs`];
  const { code, stdout } = await startCli(t, argv, { env, input: "" }).exit(60_000);
  assert.equal(code, EXIT.config);
  assert.match(stdout, /cannot start/);
  assert.match(stdout, /no API_KEY \(at [^ ]*boom\.mjs:3:\d+\)/);
  assert.doesNotMatch(stdout, /worker stopped/);
});

test("up beside an exported NATS_URL says why it starts no broker, when that one is gone and when it is to store there", async () => {
  const up = ["up", "--pool", "p", "--handler", "none.mjs"];
  const gone = await runInShell(up, { NATS_URL: "nats://127.0.0.1:1" });
  assert.deepEqual([gone.code, gone.stdout], [EXIT.unavailable, ""], gone.stderr);
  assert.match(
    gone.stderr,
    /^poolmesh: bus_unavailable: no broker at .*; NATS_URL names that broker, .*unset NATS_URL/,
  );
  const flagged = await runInShell([...up, "--servers", "nats://127.0.0.1:1"], env);
  assert.doesNotMatch(flagged.stderr, /NATS_URL/, "a flag decides");
  for (const [argv, who] of [
    [[], "NATS_URL"],
    [["--servers", broker.url], "--servers"],
    [["--no-broker"], "--no-broker"],
  ] as const) {
    const refused = await runInShell([...up, "--store-dir", "store", ...argv], env);
    assert.equal(refused.code, EXIT.usage, refused.stderr);
    assert.match(refused.stderr, new RegExp(`--store-dir is where .*; ${who} says that none is started`));
  }
});
