/** setup() before the first job, teardown() after the last, wherever the handler runs; and its replacement after N jobs. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, test } from "node:test";
import { Worker } from "../../../services/worker/worker.js";
import { connectBus, startBroker, WHOLE_FILE } from "../../support/broker.js";
import { HandlerFolder } from "../../support/core/handler-folder.js";
import { JobCaller } from "../../support/core/job-caller.js";
import { leakGuard } from "../../support/leak-guard.js";
import { readableLog } from "../../support/log-lines.js";
import { startCli } from "../../support/process.js";
import { startWorker } from "../../support/started-worker.js";
import { eventually, within } from "../../support/wait.js";

leakGuard();
const broker = await startBroker(WHOLE_FILE);
const ISOLATIONS = ["inline", "thread", "process"] as const;

/** Notes what happens, with a pause in setup and teardown that is there to be awaited. */
const NOTING = `
import { setTimeout as wait } from "node:timers/promises";
let ready = false;
export async function setup(context) {
  await wait(20);
  ready = true;
  context.signal.addEventListener("abort", () => note("signal"));
  note("setup " + JSON.stringify({ ...context, signal: context.signal.aborted }));
}
export async function run(job) {
  note("job " + ready);
  if (job.payload === "wait") await new Promise((_, no) => job.signal.addEventListener("abort", () => no(new Error("late"))));
  if (job.payload === "ignore") await wait(60_000, undefined, { ref: false });
  return ready;
}
export async function teardown() {
  note("teardown begins");
  await wait(20);
  note("teardown ends");
}
`;

for (const isolation of ISOLATIONS) {
  describe(`handler life: ${isolation}`, () => {
    test("setup is awaited before the worker is READY and told where it runs; teardown is awaited after the last job", async (t) => {
      const folder = new HandlerFolder(t);
      const options = { handlerFile: folder.write("handler.mjs", NOTING), isolation, slots: 2, graceMs: 5_000 };
      const { caller, pool, worker } = await startWorker(t, broker, options);
      const context = { pool, worker: "w1", slots: 2, isolation, signal: false };
      assert.deepEqual(folder.journal(), [`setup ${JSON.stringify(context)}`]);
      const sent = caller.send("1", { jobId: "a" });
      await sent.outcome();
      await worker.drain();
      const [, ...rest] = folder.journal();
      assert.deepEqual(rest, ["job true", "signal", "teardown begins", "teardown ends"]);
    });

    test("teardown is awaited after jobs that were aborted, and although one ignores its abort", async (t) => {
      const folder = new HandlerFolder(t);
      const options = { handlerFile: folder.write("handler.mjs", NOTING), isolation, slots: 2, abortGraceMs: 20_000 };
      const { caller, worker } = await startWorker(t, broker, options);
      const sent = [caller.send('"wait"', { jobId: "a" }), caller.send('"ignore"', { jobId: "b" })];
      await Promise.all(sent.map((each) => each.first("accepted")));
      await eventually(() => folder.journal().filter((each) => each === "job true").length === 2);
      await worker.stop();
      for (const each of sent) assert.equal((await each.outcome()).error?.reason, "draining");
      const count = (line: string): number => folder.journal().filter((each) => each === line).length;
      const lives = isolation === "inline" ? 1 : 2;
      assert.deepEqual([count("teardown begins"), count("teardown ends"), count("signal")], [lives, lives, lives]);
    });

    test("an object's setup, run and teardown are called on it, beside a codec of the file", async (t) => {
      const folder = new HandlerFolder(t);
      const file = folder.write(
        "handler.mjs",
        `class Greeter {
           #greeting;
           setup() { this.#greeting = "hello"; }
           run(job) { return this.#greeting + " " + job.payload; }
           teardown() { note("bye " + this.#greeting); }
         }
         export const codec = "text";
         export default new Greeter();`,
      );
      const { caller, worker } = await startWorker(t, broker, { handlerFile: file, isolation });
      assert.equal((await caller.send("you", { jobId: "a" }).outcome()).text, "hello you");
      await worker.stop();
      assert.deepEqual(folder.journal(), ["bye hello"]);
    });

    test("a setup that throws refuses the start, says why, and is not torn down", async (t) => {
      const folder = new HandlerFolder(t);
      const text = `export const run = () => 1; export function setup() { throw new Error("no database"); }
        export const teardown = () => note("teardown");`;
      const worker = unstarted(folder.write("handler.mjs", text));
      await assert.rejects(worker.start(), {
        reason: "invalid_argument",
        field: "handler",
        message: /setup\(\) failed: no database/,
      });
      assert.deepEqual(folder.journal(), []);
    });

    test("a file that never loads and a setup that never ends are refused after the limit", async (t) => {
      const folder = new HandlerFolder(t);
      const loading = folder.write("loading.mjs", "await new Promise(() => undefined); export const run = () => 1;");
      const refusal = { reason: "invalid_argument", field: "handler" };
      await assert.rejects(unstarted(loading, 200).start(), {
        ...refusal,
        message: /the file does not load: .* or this machine is too busy/,
      });
      const setup = "export const run = () => 1; export const setup = () => new Promise(() => undefined);";
      const worker = unstarted(folder.write("setup.mjs", setup), 8_000);
      await assert.rejects(worker.start(), { ...refusal, message: /setup\(\) does not end \(limit 8000 ms/ });
    });

    test("a stop while setup runs fires its signal and leaves nothing behind", async (t) => {
      const folder = new HandlerFolder(t);
      const text = `export const run = () => 1;
        export const setup = ({ signal }) => new Promise((_, no) => {
          signal.addEventListener("abort", () => { note("signal"); no(signal.reason); });
          note("setup");
        });`;
      const worker = unstarted(folder.write("handler.mjs", text));
      const started = worker.start().catch(() => "refused");
      await eventually(() => folder.journal().includes("setup"));
      await within(worker.stop());
      assert.equal(await started, "refused");
      assert.deepEqual(folder.journal(), ["setup", "signal"]);
    });

    test("a setup that ignores the stop is left after the grace, however long it may take, and the log says so", async (t) => {
      const folder = new HandlerFolder(t);
      const text = `export const run = () => 1;
        export const setup = () => { note("setup"); return new Promise((end) => setTimeout(end, 600_000).unref()); };`;
      const handlerFile = folder.write("handler.mjs", text);
      const { log, named } = readableLog();
      const options = { pool: "unstarted", handlerFile, isolation, servers: broker.url, log };
      const worker = new Worker({ ...options, graceMs: 100, loadTimeoutMs: 600_000 });
      const started = worker.start().catch(() => "refused");
      await eventually(() => folder.journal().includes("setup"));
      await within(worker.stop());
      assert.equal(await started, "refused");
      const [line] = named("the handler was left before it was ready");
      assert.match(String(line?.error), /setup\(\) still ran .* left after 100 ms \(--grace-ms\)/);
    });

    test("a teardown that throws or never ends does not keep the worker", async (t) => {
      const folder = new HandlerFolder(t);
      for (const body of ['throw new Error("no")', "return new Promise(() => undefined)"]) {
        const file = folder.write(
          `${body.length}.mjs`,
          `export const run = () => 1; export function teardown() { ${body}; }`,
        );
        const { worker } = await startWorker(t, broker, { handlerFile: file, isolation, loadTimeoutMs: 2_000 });
        await within(worker.stop());
      }
    });

    function unstarted(handlerFile: string, loadTimeoutMs?: number): Worker {
      const bus = { servers: broker.url };
      const limit = loadTimeoutMs === undefined ? {} : { loadTimeoutMs };
      return new Worker({ pool: "unstarted", handlerFile, isolation, ...bus, ...limit });
    }
  });
}

for (const isolation of ["thread", "process"] as const) {
  test(`handler life: ${isolation}: a teardown that ends its ${isolation} is a line in the log`, async (t) => {
    const folder = new HandlerFolder(t);
    const { log, named } = readableLog();
    const ways = { exit: "process.exit(5)", crash: 'setImmediate(() => { throw new Error("late"); }); await never' };
    for (const [name, body] of Object.entries(ways)) {
      const text = `const never = new Promise((end) => setTimeout(end, 60_000));
        export const run = () => 1; export async function teardown() { ${body}; }`;
      const { worker } = await startWorker(t, broker, {
        handlerFile: folder.write(`${name}.mjs`, text),
        isolation,
        log,
      });
      await within(worker.stop());
    }
    const errors = named("teardown failed").map(({ error }) => error);
    assert.deepEqual(errors, [`the handler's ${isolation} exited with code 5 in teardown()`, "late"]);
  });
}

for (const isolation of ["thread", "process"] as const) {
  describe(`handler recycling: ${isolation}`, () => {
    const WHO = `import { threadId } from "node:worker_threads";
      const me = process.pid + "/" + threadId;
      export const setup = () => note("setup " + me);
      export const run = () => me;
      export const teardown = () => note("teardown " + me);`;

    test("one is replaced after as many jobs as said, with its teardown", async (t) => {
      const folder = new HandlerFolder(t);
      const options = { handlerFile: folder.write("handler.mjs", WHO), isolation, recycleAfter: 3 };
      const { caller } = await startWorker(t, broker, options);
      const seen: string[] = [];
      for (let i = 0; i < 7; i += 1) {
        const reply = await caller.send("", { jobId: `j${i}` }).outcome();
        assert.equal(reply.kind, "result");
        seen.push(JSON.parse(reply.text));
      }
      const [first, second, third] = [seen[0], seen[3], seen[6]];
      assert.deepEqual(seen, [first, first, first, second, second, second, third]);
      assert.equal(new Set([first, second, third]).size, 3);
      await eventually(() => folder.journal().includes(`teardown ${second}`));
      assert.ok(folder.journal().includes(`teardown ${first}`));
      assert.ok(!folder.journal().includes(`teardown ${third}`));
    });

    test("no job is lost while many are replaced", async (t) => {
      const folder = new HandlerFolder(t);
      const options = { handlerFile: folder.write("handler.mjs", WHO), isolation, recycleAfter: 1, slots: 2 };
      const { caller } = await startWorker(t, broker, options);
      const seen = new Set<string>();
      for (let i = 0; i < 8; i += 1) {
        const pair = [0, 1].map((each) => caller.send("", { jobId: `j${i}${each}` }));
        for (const sent of pair) seen.add((await sent.outcome()).text);
      }
      assert.equal(seen.size, 16);
    });
  });
}

describe("handler life: the program", () => {
  test("a setup that throws, and a file that never loads, are a clear line and exit 78", async (t) => {
    const folder = new HandlerFolder(t);
    const throwing = folder.write(
      "a.mjs",
      'export const run = () => 1; export const setup = () => { throw new Error("no database"); };',
    );
    const loading = folder.write("b.mjs", "await new Promise(() => undefined); export const run = () => 1;");
    const table: [string[], RegExp][] = [
      [["--handler", throwing], /setup\(\) failed: no database/],
      [["--handler", loading, "--load-timeout-ms", "300"], /the file does not load/],
      [["--handler", throwing, "--recycle-after", "3"], /recycleAfter: only threads and processes/],
    ];
    for (const [flags, line] of table) {
      const program = startCli(t, ["worker", "--pool", "p", ...flags], { env: { NATS_URL: broker.url } });
      const { code, stdout, stderr } = await program.exit();
      assert.equal(code, 78, stdout + stderr);
      assert.match(stdout + stderr, line);
    }
  });

  test("a file that blocks for ever while it is imported or set up is a clear line and exit 78, wherever it runs", async (t) => {
    const folder = new HandlerFolder(t);
    const fifo = `${folder.path}/fifo`;
    execFileSync("mkfifo", [fifo]);
    const files = [
      folder.write("loop.mjs", "for (;;) {}"),
      folder.write("wait.mjs", "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);"),
      folder.write("native.mjs", `import { openSync } from "node:fs"; openSync(${JSON.stringify(fifo)});`),
      folder.write("setup.mjs", "export const run = () => 1; export const setup = () => { for (;;) {} };"),
    ];
    for (const file of files) {
      const ends = ISOLATIONS.map(async (isolation) => {
        const flags = ["--handler", file, "--isolation", isolation, "--load-timeout-ms", "1000"];
        const program = startCli(t, ["worker", "--pool", "p", ...flags], { env: { NATS_URL: broker.url } });
        const { code, stdout, stderr } = await program.exit();
        assert.equal(code, 78, `${isolation} ${file}: ${stdout}${stderr}`);
        assert.match(stdout + stderr, /handler: .*\(limit 1000 ms, --load-timeout-ms\)/);
      });
      await Promise.all(ends);
    }
  });

  test("a file that ends its process while it is imported or set up is a clear line and exit 78, wherever it runs", async (t) => {
    const folder = new HandlerFolder(t);
    const files = [
      folder.write("zero.mjs", "process.exit(0);"),
      folder.write("setup.mjs", "export const run = () => 1; export const setup = () => process.exit(3);"),
    ];
    for (const file of files) {
      const ends = ISOLATIONS.map(async (isolation) => {
        const flags = ["--pool", "p", "--handler", file, "--isolation", isolation];
        const program = startCli(t, ["worker", ...flags], { env: { NATS_URL: broker.url } });
        const { code, stdout, stderr } = await program.exit();
        assert.equal(code, 78, `${isolation} ${file}: ${stdout}${stderr}`);
        assert.match(stdout + stderr, /handler: .* exited with code [03] .*does it call exit\(\)\?/);
      });
      await Promise.all(ends);
    }
  });

  test("a second SIGTERM while setup runs ends the program at once, wherever it runs", async (t) => {
    const text =
      'export const run = () => 1; export const setup = () => { note("setup"); return new Promise(() => {}); };';
    const limits = ["--grace-ms", "600000", "--load-timeout-ms", "600000"];
    for (const isolation of ISOLATIONS) {
      const folder = new HandlerFolder(t);
      const flags = ["--pool", "p", "--handler", folder.write("handler.mjs", text), "--isolation", isolation];
      const program = startCli(t, ["worker", ...flags, ...limits], { env: { NATS_URL: broker.url } });
      await eventually(() => folder.journal().includes("setup"));
      program.signal("SIGTERM");
      await program.line(/stopping/);
      program.signal("SIGTERM");
      assert.equal((await program.exit()).code, 130, isolation);
    }
  });

  test("an inline handler that ends its process in a job is a line, and no exit code 0", async (t) => {
    const folder = new HandlerFolder(t);
    const file = folder.write("exit.mjs", "export const run = () => process.exit(0);");
    const flags = ["--pool", "exiting", "--handler", file];
    const program = startCli(t, ["worker", ...flags], { env: { NATS_URL: broker.url } });
    await program.line(/worker ready/);
    new JobCaller(await connectBus(t, broker), "exiting").send("1", { jobId: "a" });
    const { code, stdout } = await program.exit();
    assert.equal(code, 1);
    assert.match(stdout, /process\.exit\(\) was called while the worker ran: its jobs are lost/);
  });

  test("a file that takes its time without blocking is not taken for one that blocks", async (t) => {
    const folder = new HandlerFolder(t);
    const file = folder.write(
      "slow.mjs",
      `const block = (ms) => { for (const end = Date.now() + ms; Date.now() < end; ); };
       for (let i = 0; i < 3; i += 1) {
         block(600);
         await new Promise((done) => setTimeout(done, 10));
       }
       export const run = () => 1;`,
    );
    const flags = ["--pool", "p", "--handler", file, "--load-timeout-ms", "15000"];
    const program = startCli(t, ["worker", ...flags], { env: { NATS_URL: broker.url } });
    await program.line(/worker ready/);
    assert.equal((await program.stop()).code, 0);
  });
});
