/** The worker as a program: signals, exit codes, secrets, and what its death leaves behind. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connectBus, startBroker, WHOLE_FILE } from "../../support/broker.js";
import { JobCaller } from "../../support/core/job-caller.js";
import { startCli, type TestProcess } from "../../support/process.js";
import { programFile } from "../../support/program-file.js";
import { eventually } from "../../support/wait.js";

const broker = await startBroker(WHOLE_FILE);
const ODD = programFile("../../support/handlers/odd", import.meta.url);
const PID = programFile("../../support/handlers/pid", import.meta.url);

type Owner = Parameters<typeof startCli>[0];

function startProgram(t: Owner, flags: readonly string[], env: Record<string, string> = {}): TestProcess {
  const args = ["worker", "--pool", "program", "--id", "w1", ...flags];
  return startCli(t, args, { env: { NATS_URL: broker.url, ...env } });
}

async function callerOf(t: Parameters<typeof connectBus>[0]): Promise<JobCaller> {
  return new JobCaller(await connectBus(t, broker), "program");
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe("worker program", () => {
  test("SIGTERM lets a job finish within the grace, and the exit code is 0", async (t) => {
    const program = startProgram(t, ["--handler", ODD]);
    await program.line(/worker ready/);
    const caller = await callerOf(t);
    const sent = caller.send('{"do":"wait","ms":500}', { jobId: "a" });
    await sent.first("accepted");
    program.signal("SIGTERM");
    assert.equal((await sent.outcome()).text, '"waited"');
    assert.equal((await program.exit()).code, 0);
  });

  test("a second SIGTERM ends it at once with 130", async (t) => {
    const program = startProgram(t, ["--handler", ODD, "--grace-ms", "60000"]);
    await program.line(/worker ready/);
    const caller = await callerOf(t);
    await caller.send('{"do":"ignore-abort"}', { jobId: "b" }).first("accepted");
    program.signal("SIGTERM");
    await program.line(/stopping/);
    program.signal("SIGTERM");
    const { code, stdout } = await program.exit(5_000);
    assert.equal(code, 130);
    // nobody called it: whoever reads the log would look for it in the handler
    assert.doesNotMatch(stdout, /process\.exit\(\)/);
  });

  test("a drain by control ends it with 0", async (t) => {
    const program = startProgram(t, ["--handler", ODD]);
    await program.line(/worker ready/);
    await (await callerOf(t)).control("drain", "w1").outcome();
    assert.equal((await program.exit()).code, 0);
  });

  test("SIGTERM ends one that waits for a broker", async (t) => {
    const program = startProgram(t, ["--handler", ODD], { NATS_URL: "nats://127.0.0.1:1" });
    await program.line(/waiting for a broker/);
    assert.equal((await program.stop(5_000)).code, 0);
  });

  test("every configuration mistake is named in one message, and the exit code is 78", async (t) => {
    const program = startProgram(t, ["--slots", "none", "--isolation", "cloud"], { POOLMESH_SLOTTS: "3" });
    const { code, stderr } = await program.exit();
    assert.equal(code, 78);
    for (const each of [/--slots/, /--isolation/, /POOLMESH_SLOTTS.*POOLMESH_SLOTS/]) assert.match(stderr, each);
    const bare = await startProgram(t, []).exit();
    assert.deepEqual([bare.code, /--handler FILE or --exec CMD/.test(bare.stderr)], [78, true]);
    const missing = await startProgram(t, ["--handler", "nowhere.ts"]).exit();
    assert.deepEqual([missing.code, /there is no file/.test(missing.stdout + missing.stderr)], [78, true]);
  });

  test("a password reaches neither the log nor a command's environment", async (t) => {
    const secret = "hunter2hunter2";
    const flags = ["--exec", "env", "--log-level", "debug"];
    const url = broker.url.replace("//", `//someone:${secret}@`);
    const program = startProgram(t, flags, { NATS_URL: url, POOLMESH_PASSWORD: secret });
    await program.line(/worker ready/);
    const reply = await (await callerOf(t)).send("", { jobId: "env" }).outcome();
    assert.match(reply.text, /^JOB_ID=env$/m);
    assert.doesNotMatch(reply.text, new RegExp(secret));
    const { stdout, stderr } = await program.stop();
    assert.doesNotMatch(stdout + stderr, new RegExp(secret));
  });

  test("when it is killed its handler processes end too", async (t) => {
    const program = startProgram(t, ["--handler", PID, "--isolation", "process"]);
    await program.line(/worker ready/);
    const caller = await callerOf(t);
    const sent = caller.send("", { jobId: "pid" });
    const pid = Number((await sent.first("progress")).text);
    assert.ok(isAlive(pid));
    await program.kill();
    await eventually(() => !isAlive(pid), { what: "the end of the handler's process" });
  });
});
