/** What a crash leaves on the disk. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { startBroker } from "../../support/broker.js";
import { leakGuard } from "../../support/leak-guard.js";
import { CLI, startProcess } from "../../support/process.js";
import { scratchFolder } from "../../support/up.js";
import { eventually } from "../../support/wait.js";

leakGuard();

const PATTERN = "/proc/sys/kernel/core_pattern";
/** A test finds only core files that are written to the process's own folder. */
const skip = existsSync(PATTERN) && /^core\b/.test(readFileSync(PATTERN, "utf8")) ? false : "core files go elsewhere";
const SECRET = "zq7-never-on-a-disk";
/** The command, from whatever folder. */
const ENTRY = CLI.map((word) =>
  /main\.[jt]s$/.test(word) ? resolve(word) : word === "tsx" ? import.meta.resolve("tsx") : word,
);
const PROGRAMS = {
  manager: ["manager", "--listen", "127.0.0.1:0"],
  meter: ["meter", "--listen", "127.0.0.1:0"],
  worker: ["worker", "--pool", "adder", "--handler", resolve("test/support/handlers/plus-one.ts")],
};

for (const [name, args] of Object.entries(PROGRAMS)) {
  test(`a ${name} that crashes leaves no secret in its core file`, { skip }, async (t) => {
    const broker = await startBroker(t, { extraConfig: `authorization { user: u, password: "${SECRET}" }` });
    const cwd = await scratchFolder(t);
    const words = ["-c", 'ulimit -c unlimited && exec "$@"', "bash", process.execPath, ...ENTRY, ...args];
    const env = { NATS_URL: broker.url.replace("//", `//u:${SECRET}@`) };
    const program = startProcess(t, "bash", words, { cwd, env });
    await program.line(/"msg":"(worker )?ready"/);
    process.kill(program.pid, "SIGABRT");
    await program.exit();
    const core = await eventually(() => readdirSync(cwd).find((file) => file.startsWith("core")));
    const bytes = readFileSync(join(cwd, core));
    rmSync(join(cwd, core));
    assert.equal(bytes.subarray(1, 4).toString(), "ELF");
    assert.ok(!bytes.includes(SECRET), `${bytes.length} bytes with the password in them`);
  });
}
