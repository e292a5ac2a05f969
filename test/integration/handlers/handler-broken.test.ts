/** A thread or child process that cannot be loaded, or dies by itself, takes no job and is tried again. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { startBroker, WHOLE_FILE } from "../../support/broker.js";
import { HandlerFolder } from "../../support/core/handler-folder.js";
import { leakGuard } from "../../support/leak-guard.js";
import { readableLog } from "../../support/log-lines.js";
import { startWorker } from "../../support/started-worker.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const broker = await startBroker(WHOLE_FILE);

/** Throws at import while the file "broken" is there; a job holds its slot while the file that it names is not there. */
const HANDLER = `
import { existsSync, writeFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
if (existsSync(FOLDER + "/broken")) {
  note("broken");
  await wait(100);
  throw new Error("the disk is full");
}
export async function run(job) {
  if (job.payload === "die") process.exit(3);
  if (job.payload === "send") process.send?.(null), process.send?.("odd"), process.send?.(["x", { say: "loaded" }]);
  if (job.payload === "break") writeFileSync(FOLDER + "/broken", "");
  if (job.payload === "late") {
    setTimeout(() => { throw new Error("nobody caught this"); }, 1);
    await new Promise(() => undefined);
  }
  while (job.payload.startsWith("until ") && !existsSync(FOLDER + "/" + job.payload.slice(6))) await wait(5);
  return "done";
}`;

for (const isolation of ["thread", "process"] as const) {
  const what = `the handler's ${isolation}`;

  describe(`handler broken: ${isolation}`, () => {
    test("while one cannot be loaded its slot is not offered, no job fails, and the log says why", async (t) => {
      const folder = new HandlerFolder(t);
      const { log, named } = readableLog();
      const options = { handlerFile: folder.write("handler.mjs", HANDLER), isolation, slots: 3, log };
      const { caller, worker } = await startWorker(t, broker, options);
      writeFileSync(join(folder.path, "broken"), "");
      const held = caller.send('"until go"', { jobId: "held" });
      await held.first("accepted");
      const beside = caller.send('"x"', { jobId: "beside" });
      await eventually(() => named("the handler cannot be loaded").length > 1);
      assert.equal(worker.slots, 1, "the slot of the one that works");
      writeFileSync(join(folder.path, "go"), "");
      assert.equal((await held.outcome()).text, '"done"');
      assert.equal((await beside.outcome()).text, '"done"');
      for (let i = 0; i < 20; i += 1) {
        assert.equal((await caller.send('"x"', { jobId: `j${i}` }).outcome()).text, '"done"');
      }
      rmSync(join(folder.path, "broken"));
      await eventually(() => worker.slots === 3);
      const [line] = named("the handler cannot be loaded");
      assert.match(String(line?.error), /cannot load .*: the disk is full/);
      assert.deepEqual([line?.level, line?.isolation, line?.worker], ["warn", isolation, "w1"]);
    });

    test("when the only one dies and none can be loaded, no slot is offered until one can", async (t) => {
      const folder = new HandlerFolder(t);
      const { log, named } = readableLog();
      const { caller, worker } = await startWorker(t, broker, {
        handlerFile: folder.write("handler.mjs", HANDLER),
        isolation,
        slots: 2,
        log,
      });
      writeFileSync(join(folder.path, "broken"), "");
      assert.equal(
        (await caller.send('"die"', { jobId: "a" }).outcome()).text,
        `job_failed: ${what} exited with code 3`,
      );
      await eventually(() => worker.slots === 0);
      const refused = caller.send('"x"', { jobId: "b", once: true });
      assert.equal((await refused.first("busy")).free, 0);
      const tries = (): number => folder.journal().length;
      const before = tries();
      await eventually(() => tries() > before);
      rmSync(join(folder.path, "broken"));
      await eventually(() => worker.slots === 2);
      assert.equal((await caller.send('"x"', { jobId: "c" }).outcome()).text, '"done"');
      const pauses = named("the handler cannot be loaded").map((each) => Number(each.retryInMs));
      assert.ok(pauses.every((each, i) => i === 0 || each === Math.min(10_000, 2 * (pauses[i - 1] as number))));
    });

    test("a job that waits for one that cannot be loaded fails with the reason", async (t) => {
      const folder = new HandlerFolder(t);
      const options = { handlerFile: folder.write("handler.mjs", HANDLER), isolation, recycleAfter: 1 };
      const { caller } = await startWorker(t, broker, options);
      assert.equal((await caller.send('"break"', { jobId: "a" }).outcome()).text, '"done"');
      const sent = caller.send('"x"', { jobId: "b", once: true });
      const reply = await eventually(() => sent.replies.find((each) => each.kind !== "accepted"));
      // it is refused when its worker knows already
      const expected = new RegExp(
        `^job_failed: ${what} could not be loaded: handler: cannot load .*: the disk is full`,
      );
      if (reply.kind !== "busy") assert.match(reply.text, expected);
    });

    test("an exception that nobody caught fails the job with its text, and the next job runs", async (t) => {
      const folder = new HandlerFolder(t);
      const { log, named } = readableLog();
      const options = { handlerFile: folder.write("handler.mjs", HANDLER), isolation, log };
      const { caller } = await startWorker(t, broker, options);
      const reply = await caller.send('"late"', { jobId: "a" }).outcome();
      assert.equal(reply.text, `job_failed: ${what} exited with code 1: nobody caught this`);
      assert.match(String(named("job failed")[0]?.stack), /Error: nobody caught this\n.*handler\.mjs/);
      assert.equal((await caller.send('"x"', { jobId: "b" }).outcome()).text, '"done"');
    });

    test("one that dies before its first job is replaced after a growing pause, with a line each time", async (t) => {
      const folder = new HandlerFolder(t);
      const { log, named } = readableLog();
      const text = `import { threadId } from "node:worker_threads";
        setTimeout(() => { note("dies"); if (FOLDER) throw new Error("idle and dead"); }, 50);
        export const run = () => process.pid + "/" + threadId;`;
      await startWorker(t, broker, { handlerFile: folder.write("h.mjs", text), isolation, log });
      const lines = await eventually(() => {
        const found = named("the handler cannot be loaded");
        return found.length > 2 && found;
      });
      assert.match(String(lines[0]?.error), /exited with code 1: idle and dead$/);
      assert.deepEqual(
        lines.slice(0, 3).map((each) => each.retryInMs),
        [100, 200, 400],
      );
    });

    test("what a handler sends to its parent by itself is not taken for the worker's own messages", async (t) => {
      const folder = new HandlerFolder(t);
      const { caller } = await startWorker(t, broker, { handlerFile: folder.write("h.mjs", HANDLER), isolation });
      for (const jobId of ["a", "b"]) {
        assert.equal((await caller.send('"send"', { jobId }).outcome()).text, '"done"');
      }
    });
  });
}
