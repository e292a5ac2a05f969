/** Output that nobody reads any more, or that cannot be written. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { startBroker, WHOLE_FILE } from "../../support/broker.js";
import { leakGuard } from "../../support/leak-guard.js";
import { CLI, startProcess } from "../../support/process.js";
import { scratchFolder } from "../../support/up.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const broker = await startBroker(WHOLE_FILE);

test("a command whose output cannot be written says why, and exits with 1", {
  skip: !existsSync("/dev/full"),
}, async (t) => {
  const shell = startProcess(t, "sh", ["-c", '"$@" > /dev/full', "sh", process.execPath, ...CLI, "--help"], {
    input: "",
  });
  const { code, stderr } = await shell.exited;
  assert.deepEqual([code, stderr], [1, "poolmesh: cannot write the output: ENOSPC: no space left on device, write\n"]);
});

/** The codes of commands that say something on stderr. */
const EARNED: readonly (readonly [code: number, args: readonly string[]])[] = [
  [69, ["submit", "nobody-serves-it", "1"]],
  [69, ["map", "nobody-serves-it"]],
  [2, ["submit", "a b", "1"]],
  [2, ["submit", "--no-such-option"]],
  [78, ["submit", "p", "1", "--timeout-ms", "none"]],
];

for (const [code, args] of EARNED) {
  const env = { NATS_URL: broker.url };
  const argv = ["sh", process.execPath, ...CLI, ...args];

  test(`poolmesh ${args.join(" ")} exits with ${code} although stderr cannot be written`, {
    skip: !existsSync("/dev/full"),
  }, async (t) => {
    const shell = startProcess(t, "sh", ["-c", '"$@" 2> /dev/full', ...argv], { env, input: "1\n" });
    assert.deepEqual(await shell.exited.then(({ code: exit, stdout }) => [exit, stdout]), [code, ""]);
  });

  test(`poolmesh ${args.join(" ")} exits with ${code} although nobody reads its stderr any more`, async (t) => {
    // writes until the reader has gone
    const gone = "trap '' PIPE; while echo x; do :; done 2> /dev/null";
    const script = `exec 3>&1 4<&0; { ${gone}; "$@" 2>&1 > /dev/null <&4; echo "code $?" >&3; } | :`;
    const shell = startProcess(t, "sh", ["-c", script, ...argv], { env, input: "1\n" });
    assert.equal((await shell.exited).stdout, `code ${code}\n`);
  });
}

test("a command whose stdout and stderr cannot be written exits with 1", {
  skip: !existsSync("/dev/full"),
}, async (t) => {
  const script = '"$@" > /dev/full 2>&1';
  const shell = startProcess(t, "sh", ["-c", script, "sh", process.execPath, ...CLI, "--help"], { input: "" });
  assert.equal((await shell.exited).code, 1);
});

test("a worker whose stdout nobody reads any more goes on, and stops as asked", async (t) => {
  const folder = await scratchFolder(t, {
    "talk.mjs": `const said = (error) => { if (error) process.stderr.write("unheard\\n"); };
export const setup = () => { setInterval(() => process.stdout.write("x\\n", said), 20).unref(); };
export default () => 1;
`,
  });
  const worker = [process.execPath, ...CLI, "worker", "--pool", "p", "--handler", `${folder}/talk.mjs`];
  const script = '{ "$@" & P=$!; echo "pid $P" >&2; wait $P; echo "code $?" >&2; } | head -n 1';
  const shell = startProcess(t, "sh", ["-c", script, "sh", ...worker], { env: { NATS_URL: broker.url }, input: "" });
  await eventually(() => (shell.stderr.match(/unheard/g)?.length ?? 0) > 2 || /code/.test(shell.stderr));
  process.kill(Number(/pid (\d+)/.exec(shell.stderr)?.[1]), "SIGTERM");
  const { stderr } = await shell.exited;
  assert.match(stderr, /^code 0$/m);
});
