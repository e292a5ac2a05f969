/** A handler that ends its process or thread, or is ended, beside its jobs: in setup() and in teardown(), wherever it runs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connectBus, startBroker, WHOLE_FILE } from "../../support/broker.js";
import { HandlerFolder } from "../../support/core/handler-folder.js";
import { JobCaller } from "../../support/core/job-caller.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startCli, type TestProcess } from "../../support/process.js";

leakGuard();
const broker = await startBroker(WHOLE_FILE);
const ISOLATIONS = ["inline", "thread", "process"] as const;
type Owner = Parameters<typeof startCli>[0];
const env = { NATS_URL: broker.url };

function startProgram(t: Owner, file: string, isolation: string, pool = "p"): TestProcess {
  return startCli(t, ["worker", "--pool", pool, "--handler", file, "--isolation", isolation], { env });
}

for (const isolation of ISOLATIONS) {
  const own = isolation === "thread" ? "thread" : "process";

  test(`${isolation}: a teardown that ends its ${own} is a line "teardown failed", and the worker that stops ends with 0`, async (t) => {
    const folder = new HandlerFolder(t);
    for (const code of [0, 5]) {
      const body = `export const run = () => 1; export const teardown = () => process.exit(${code});`;
      const program = startProgram(t, folder.write(`exit${code}.mjs`, body), isolation);
      await program.line(/worker ready/);
      const end = await program.stop();
      const said = `"error":"the handler's ${own} exited with code ${code} in teardown\\(\\)".*"msg":"teardown failed"`;
      assert.match(end.stdout, new RegExp(said));
      assert.doesNotMatch(end.stdout, /jobs are lost/);
      assert.equal(end.code, 0, end.stdout + end.stderr);
    }
  });

  test(`${isolation}: a teardown that ends its ${own} costs no job its result`, async (t) => {
    const folder = new HandlerFolder(t);
    const pool = `last-${isolation}`;
    const body = `let end;
      export const run = () => { note("run"); return new Promise((done) => { end = () => done("kept"); process.once("SIGTERM", end); setTimeout(end, 300); }); };
      export const teardown = () => process.exit(0);`;
    const program = startProgram(t, folder.write("last.mjs", body), isolation, pool);
    await program.line(/worker ready/);
    const sent = new JobCaller(await connectBus(t, broker), pool).send("1", { jobId: "a" });
    await sent.first("accepted");
    assert.equal((await program.stop()).code, 0);
    assert.equal((await sent.outcome()).text, '"kept"');
  });
}

test("inline: a process.exit() beside all jobs says that none is lost, and is no exit code 0", async (t) => {
  const folder = new HandlerFolder(t);
  const file = folder.write("timer.mjs", "export const run = () => 1; process.once('SIGUSR2', () => process.exit(0));");
  const program = startProgram(t, file, "inline");
  await program.line(/worker ready/);
  program.signal("SIGUSR2");
  const { code, stdout } = await program.exit();
  assert.equal(code, 1);
  assert.match(stdout, /"jobs":0.*process\.exit\(\) was called while the worker ran: it had no jobs/);
});

/** How a handler dies before it is ready, and what is said of it; "" where it is not said inline. */
const DEATHS: readonly (readonly [what: string, body: string, inline: string, isolated: string])[] = [
  [
    "throws in a timer",
    'setTimeout(() => { throw new Error("late"); }, 1)',
    "that nobody caught: late \\(at ",
    "that nobody caught: late \\(at ",
  ],
  ["leaves a promise rejected", 'void Promise.reject(new Error("left"))', "", "that nobody caught: left \\(at "],
  ["kills its process", 'process.kill(process.pid, "SIGKILL")', "", "was ended by SIGKILL"],
];

for (const [what, body, inline, isolated] of DEATHS) {
  for (const isolation of ISOLATIONS) {
    const said = isolation === "inline" ? inline : isolated;
    // who kills the process of an inline or threaded handler kills the worker
    if (said === "" || (what.startsWith("kills") && isolation === "thread")) continue;

    test(`${isolation}: a setup, and a file, that ${what} is a line that names it, and exit code 78`, async (t) => {
      const folder = new HandlerFolder(t);
      const never = "await new Promise((end) => setTimeout(end, 600_000).unref())";
      const files = {
        "in setup\\(\\)": `export const run = () => 1; export const setup = async () => { ${body}; ${never}; };`,
        "while its file was loaded": `export const run = () => 1; ${body}; ${never};`,
      };
      for (const [where, text] of Object.entries(files)) {
        const program = startProgram(t, folder.write(`${where.length}.mjs`, text), isolation);
        const { code, stdout, stderr } = await program.exit();
        assert.equal(code, 78, stdout + stderr);
        const line =
          isolation === "inline"
            ? "handler: its process ended .* in setup\\(\\)"
            : `handler: its ${isolation} .*${where}`;
        assert.match(stdout + stderr, new RegExp(line));
        assert.match(stdout + stderr, new RegExp(said));
      }
    });
  }
}

test("inline: an exception that nobody catches before the worker is ready is exit code 78", async (t) => {
  const folder = new HandlerFolder(t);
  const body =
    'export const run = () => 1; export const setup = () => { setImmediate(() => { throw new Error("early"); }); };';
  const { code, stdout } = await startProgram(t, folder.write("early.mjs", body), "inline").exit();
  assert.deepEqual([code, /early/.test(stdout)], [78, true], stdout);
});

test("inline: an exception that nobody catches is no mistake of configuration once the worker was ready", async (t) => {
  const folder = new HandlerFolder(t);
  const throwing = "process.once('SIGUSR2', () => setImmediate(() => { throw new Error('late'); }));";
  const program = startProgram(t, folder.write("late.mjs", `export const run = () => 1; ${throwing}`), "inline");
  await program.line(/worker ready/);
  program.signal("SIGUSR2");
  assert.equal((await program.exit()).code, 1);
});
