/** stdin as the input of a command: left at a signal, and refused when it cannot be read. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { test } from "node:test";
import { readAll, stdinChunks } from "../../../cli/stdin.js";
import { WHOLE_FILE } from "../../support/broker.js";
import { startDurableMesh } from "../../support/durable-mesh.js";
import { leakGuard } from "../../support/leak-guard.js";
import { CLI, type Exit, startCli, startProcess } from "../../support/process.js";
import { scratchFolder } from "../../support/up.js";
import { within } from "../../support/wait.js";

leakGuard();
const mesh = await startDurableMesh();
let ran = 0;
await mesh.startPool(WHOLE_FILE, "p", () => (ran += 1), { slots: 1, graceMs: 100 });
const env = { NATS_URL: mesh.servers };

const BATCH = ["batches", "p", "enqueue", "b1", "--on-complete", "p"];
const CRON = ["cron", "p", "set", "c1", "@daily", "-"];
/** Commands that read stdin. */
const READERS: readonly (readonly string[])[] = [
  ["submit", "p", "-"],
  ["submit", "p", "-", "--direct"],
  ["submit", "p", "-", "--json"],
  ["submit", "p", "-", "--url", "http://127.0.0.1:1"],
  ["enqueue", "p", "-"],
  ["enqueue", "p", "-", "--wait"],
  ["enqueue", "p", "-", "--url", "http://127.0.0.1:1"],
  ["map", "p"],
  ["map", "p", "--lines", "-"],
  BATCH,
  CRON,
];

for (const name of ["SIGINT", "SIGTERM"] as const) {
  test(`a command that reads stdin ends at the first ${name}, and nothing runs`, async (t) => {
    const before = ran;
    const ends = READERS.map(async (args) => {
      const command = startCli(t, args, { env });
      await within(command.untilItReads(), { what: `a reader: ${args.join(" ")}` });
      command.signal(name);
      const { code, signal, stdout } = await command.exit(10_000);
      // a command that has nothing to tidy up is ended by the signal itself
      const asked = args === BATCH || args === CRON ? signal === name : code === 130;
      return asked && stdout === "" ? [] : [`${args.join(" ")}: ${code} ${signal} ${stdout}`];
    });
    assert.deepEqual((await Promise.all(ends)).flat(), []);
    assert.equal(ran, before);
  });
}

function withStdin(t: Parameters<typeof startCli>[0], redirect: string, args: readonly string[]): Promise<Exit> {
  const script = `"$@" ${redirect}`;
  return startProcess(t, "sh", ["-c", script, "sh", process.execPath, ...CLI, ...args], { env, input: "" }).exit();
}

test("stdin that is a folder, or only for writing, is refused with 2 by every command that reads it, and nothing runs", async (t) => {
  const folder = await scratchFolder(t, {});
  const before = ran;
  const lines = await Promise.all(
    READERS.filter((args) => !args.includes("--json")).map(async (args) => {
      const onFolder = await withStdin(t, `< '${folder}'`, args);
      const onWriteOnly = await withStdin(t, `0> '${folder}/${args.join("").replace(/\W/g, "")}'`, args);
      return [onFolder, onWriteOnly].map(({ code, stdout, stderr }) => [code, stdout, stderr]);
    }),
  );
  for (const [onFolder, onWriteOnly] of lines) {
    const said = "poolmesh: invalid_argument: stdin:";
    assert.deepEqual(onFolder, [2, "", `${said} this is a folder; give it a file or a pipe\n`]);
    assert.deepEqual(onWriteOnly, [2, "", `${said} it cannot be read (EBADF)\n`]);
  }
  assert.equal(ran, before);
});

test("stdin of a kind that Node does not read is refused, not taken for empty", async () => {
  const stdin = Object.assign(Readable.from([]), { fd: 0 });
  assert.throws(() => stdinChunks({ stdin }), { reason: "invalid_argument", field: "stdin" });
  await assert.rejects(readAll({ stdin }), { reason: "invalid_argument", field: "stdin" });
});

test("/dev/null, a closed stdin, a file, a pipe and a FIFO are read", async (t) => {
  const folder = await scratchFolder(t, {});
  const [file, fifo] = [join(folder, "file"), join(folder, "fifo")];
  writeFileSync(file, "41\n");
  execFileSync("mkfifo", [fifo]);
  const redirects = ["< /dev/null", "<&-", `< '${file}'`, `< '${fifo}' & echo 41 > '${fifo}'; wait $!`];
  for (const redirect of redirects) {
    for (const args of [
      ["submit", "p", "-"],
      ["map", "p"],
      ["enqueue", "p", "-", "--wait"],
    ]) {
      const { code, stdout, stderr } = await withStdin(t, redirect, args);
      const isNone = /null|&-/.test(redirect) && args[0] === "map";
      assert.deepEqual([code, stdout === "", stderr], [0, isNone, ""], `${args} ${redirect}`);
    }
  }
  const piped = startProcess(t, "sh", ["-c", 'echo 41 | "$@"', "sh", process.execPath, ...CLI, "submit", "p", "-"], {
    env,
  });
  assert.equal((await piped.exit()).code, 0);
});
