/** Handlers in threads, child processes and commands: the same promises as inline. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Isolation } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { startBroker, WHOLE_FILE } from "../../support/broker.js";
import type { JobCaller, SentJob } from "../../support/core/job-caller.js";
import type { Trick } from "../../support/handlers/odd.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startWorker } from "../../support/started-worker.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const broker = await startBroker(WHOLE_FILE);
const HANDLERS = new URL("../../support/handlers/", import.meta.url).pathname;

let jobs = 0;
function play(caller: JobCaller, trick: Trick, timeoutMs = 30_000): SentJob {
  jobs += 1;
  return caller.send(JSON.stringify(trick), { jobId: `t${jobs}`, timeoutMs });
}

for (const isolation of ["thread", "process"] as const) {
  const options = { handlerFile: `${HANDLERS}odd.ts`, isolation, abortGraceMs: 200 };
  const what = isolation === "thread" ? "the handler's thread" : "the handler's process";

  describe(`worker isolation: ${isolation}`, () => {
    test("results, data about the job, and progress in order cross over", async (t) => {
      const { caller, pool } = await startWorker(t, broker, { ...options, slots: 2 });
      const seen = JSON.parse((await play(caller, { do: "echo", text: "hi" }).outcome()).text);
      assert.deepEqual(seen, { text: "hi", id: `t${jobs}`, attempt: 1, worker: "w1", pool });
      const sent = play(caller, { do: "progress" });
      await sent.outcome();
      const texts = sent.replies.filter((each) => each.kind !== "accepted").map((each) => each.text);
      assert.deepEqual(texts, ['{"step":1}', '{"step":2}', '{"step":3}', '"done"']);
    });

    test("whatever a handler does is one outcome, and the slot works again", async (t) => {
      const { caller, worker } = await startWorker(t, broker, options);
      const table: [Trick, string][] = [
        [{ do: "throw" }, "job_failed: as asked, in …"],
        [{ do: "throw-string" }, 'job_failed: the handler threw "just a string"'],
        [{ do: "throw-null" }, "job_failed: the handler threw null"],
        [{ do: "reject-for-good" }, "job_rejected: never again"],
        [{ do: "no-json" }, "job_failed: result: a BigInt has no JSON form: make it a string"],
        [{ do: "exit" }, `job_failed: ${what} exited with code 7`],
        [{ do: "crash" }, `job_failed: ${what} exited with code 1: uncaught`],
        [{ do: "echo" }, ""],
      ];
      for (const [trick, text] of table) {
        const sent = play(caller, trick);
        const reply = await sent.outcome();
        if (text !== "") assert.equal(reply.text, text);
        else assert.equal(reply.kind, "result");
        await caller.bus.flush();
        assert.equal(sent.outcomes().length, 1, trick.do);
        assert.equal(worker.busy, 0, trick.do);
      }
    });

    test("a cancel reaches the handler's signal with its reason", async (t) => {
      const { caller, worker } = await startWorker(t, broker, options);
      const sent = play(caller, { do: "wait" });
      await sent.first("accepted");
      caller.cancel(`t${jobs}`);
      assert.equal((await sent.outcome()).error?.reason, "canceled");
      await eventually(() => worker.busy === 0);
      assert.equal((await play(caller, { do: "echo" }).outcome()).kind, "result");
    });

    test("a handler that blocks or ignores its abort is ended after the grace, and the slot works again", async (t) => {
      const { caller, worker } = await startWorker(t, broker, options);
      for (const trick of [{ do: "block" }, { do: "block-natively" }, { do: "ignore-abort" }]) {
        const sent = play(caller, trick, 300);
        await sent.first("accepted");
        assert.equal((await sent.outcome()).error?.reason, "deadline_exceeded");
        await eventually(() => worker.busy === 0);
        assert.equal((await play(caller, { do: "echo" }).outcome()).kind, "result");
      }
    });

    test("one job's crash does not touch the job beside it", async (t) => {
      const { caller } = await startWorker(t, broker, { ...options, slots: 2 });
      const beside = play(caller, { do: "wait", ms: 800 });
      await beside.first("accepted");
      assert.equal((await play(caller, { do: "exit" }).outcome()).error?.reason, "job_failed");
      assert.equal((await beside.outcome()).text, '"waited"');
    });

    test("bytes cross over to the byte, empty and large", async (t) => {
      const { caller } = await startWorker(t, broker, { handlerFile: `${HANDLERS}bytes-echo.ts`, isolation });
      for (const size of [0, 1, 70_000, caller.bus.maxPayloadBytes - 512]) {
        const payload = Uint8Array.from({ length: size }, (_, i) => (i * 7) & 0xff);
        const reply = await caller.send(payload, { jobId: `${isolation}${size}` }).outcome();
        assert.ok(Buffer.from(reply.data).equals(payload), `${size} bytes`);
      }
    });

    test("a TypeScript file that imports another works in a folder without a package.json too", async (t) => {
      const folder = await mkdtemp(join(tmpdir(), "handlers-"));
      t.after(() => rm(folder, { recursive: true }));
      await writeFile(join(folder, "twice.ts"), "export const twice = (n: number): number => n * 2;");
      const handler =
        'import { twice } from "./twice.js"; export const run = (job: { payload: number }) => twice(job.payload);';
      await writeFile(join(folder, "handler.ts"), handler);
      const { caller } = await startWorker(t, broker, { handlerFile: join(folder, "handler.ts"), isolation });
      assert.equal((await caller.send("21", { jobId: "twice" }).outcome()).text, "42");
    });

    test("resize gives more slots that work at once", async (t) => {
      const { caller, worker } = await startWorker(t, broker, options);
      worker.resize(3);
      const sent = [1, 2, 3].map(() => play(caller, { do: "wait" }));
      await Promise.all(sent.map((each) => each.first("accepted")));
      assert.equal(worker.busy, 3);
    });

    test("stop() leaves no thread or process behind", async (t) => {
      const before = countResources();
      const { caller, worker } = await startWorker(t, broker, { ...options, slots: 2 });
      const sent = [play(caller, { do: "block" }), play(caller, { do: "ignore-abort" })];
      await Promise.all(sent.map((each) => each.first("accepted")));
      await worker.stop();
      await eventually(() => countResources() <= before, { what: "no thread, port or process more than before" });
    });
  });
}

function countResources(): number {
  return process.getActiveResourcesInfo().filter((each) => /Worker|MessagePort|Process/.test(each)).length;
}

describe("worker isolation: exec", () => {
  test("payload goes in by stdin, the result comes out by stdout, data about the job is in the environment", async (t) => {
    const exec = 'printf "%s %s %s %s %s " "$JOB_ID" "$JOB_ATTEMPT" "$JOB_POOL" "$JOB_WORKER" "$TRACEPARENT"; cat';
    const { caller, pool } = await startWorker(t, broker, { exec });
    const reply = await caller.send("in", { jobId: "j", attempt: 2, traceparent: "00-aa-bb-01" }).outcome();
    assert.equal(reply.text, `j 2 ${pool} w1 00-aa-bb-01 in`);
  });

  test("a command that fails is job_failed with the end of stderr, without paths", async (t) => {
    const exec = 'echo "cannot read /home/somebody/file.txt" >&2; exit 3';
    const { caller } = await startWorker(t, broker, { exec });
    const reply = await caller.send("", { jobId: "j" }).outcome();
    assert.equal(reply.text, "job_failed: the command exited with code 3: cannot read …");
  });

  test("a command that reads no stdin, writes too much or dies by a signal is one outcome", async (t) => {
    const exec =
      'read -r what; case "$what" in big) head -c 3000000 /dev/zero;; kill) kill -9 $$;; *) exec <&-; echo ok;; esac';
    const { caller } = await startWorker(t, broker, { exec });
    const big = await caller.send("big\n", { jobId: "a" }).outcome();
    assert.match(big.text, /job_failed: the command wrote more than \d+ bytes to stdout/);
    assert.match((await caller.send("kill\n", { jobId: "b" }).outcome()).text, /was ended by SIGKILL/);
    const unread = await caller.send(`x\n${"y".repeat(500_000)}`, { jobId: "c" }).outcome();
    assert.equal(unread.text, "ok\n");
  });

  test("a cancel ends the command and what it started; one that ignores SIGTERM is ended after the grace", async (t) => {
    const exec = 'trap "" TERM; sleep 60 & echo started >&2; wait; wait';
    const { caller, worker } = await startWorker(t, broker, { exec, abortGraceMs: 100 });
    const sent = caller.send("", { jobId: "j" });
    await sent.first("accepted");
    caller.cancel("j");
    assert.equal((await sent.outcome()).error?.reason, "canceled");
    await eventually(() => worker.busy === 0);
  });

  test("bytes cross over to the byte", async (t) => {
    const { caller } = await startWorker(t, broker, { exec: "cat" });
    for (const size of [0, 1, 200_000, caller.bus.maxPayloadBytes - 512]) {
      const payload = Uint8Array.from({ length: size }, (_, i) => (i * 13) & 0xff);
      const reply = await caller.send(payload, { jobId: `e${size}` }).outcome();
      assert.ok(Buffer.from(reply.data).equals(payload), `${size} bytes`);
    }
  });

  test("the heartbeat says where the handler runs", async (t) => {
    const { caller } = await startWorker(t, broker, { exec: "cat" });
    const { worker } = JSON.parse((await caller.control("probe", "w1").outcome()).text);
    assert.equal(worker.isolation, `ISOLATION_${Isolation[Isolation.EXEC]}`);
  });
});
