/** A command for each job: its exit ends the job, and what it started ends with it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { ExecRunner } from "../../../services/worker/handlers/exec-runner.js";
import type { Call, HandlerOutcome } from "../../../services/worker/handlers/runner.js";
import { startBroker, WHOLE_FILE } from "../../support/broker.js";
import { leakGuard } from "../../support/leak-guard.js";
import { readableLog } from "../../support/log-lines.js";
import { startWorker } from "../../support/started-worker.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const broker = await startBroker(WHOLE_FILE);

/** Whether a process runs; one that nobody has reaped yet does not. */
function runs(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

describe("handler exec", () => {
  test("the command's exit ends the job although something it started holds its output open", async (t) => {
    const { caller, worker } = await startWorker(t, broker, { exec: "sleep 300 & echo $!" });
    const reply = await caller.send("", { jobId: "a", timeoutMs: 120_000 }).outcome();
    assert.equal(reply.kind, "result");
    await eventually(() => !runs(Number(reply.text)), { what: "the end of what the command started" });
    assert.equal(worker.busy, 0);
  });

  test("what a command started ends with it, also with an output of its own", async (t) => {
    const { caller } = await startWorker(t, broker, { exec: "sleep 300 >/dev/null 2>&1 & echo $!" });
    const reply = await caller.send("", { jobId: "a" }).outcome();
    await eventually(() => !runs(Number(reply.text)));
  });

  test("what was written before the exit is all read, and one that never stops writing is not waited for", async (t) => {
    const exec = "head -c 700000 /dev/zero; (while :; do echo x >&2; done) &";
    const { caller } = await startWorker(t, broker, { exec });
    for (const jobId of ["a", "b", "c"]) {
      const reply = await caller.send("", { jobId, timeoutMs: 120_000 }).outcome();
      assert.deepEqual([reply.kind, reply.data.length], ["result", 700_000]);
    }
  });

  test("a command that fails is one line in the log, with the end of its stderr", async (t) => {
    const { log, named } = readableLog();
    const { caller } = await startWorker(t, broker, { exec: "echo no such city >&2; sleep 300 & exit 4", log });
    const reply = await caller.send("", { jobId: "a" }).outcome();
    assert.equal(reply.text, "job_failed: the command exited with code 4: no such city");
    const [line, ...rest] = named("job failed");
    assert.deepEqual(
      [line?.level, line?.job, line?.error, rest.length],
      [...["warn", "a", "the command exited with code 4: no such city"], 0],
    );
  });

  test("an environment that cannot be passed on ends its own job", async () => {
    const { log } = readableLog();
    const options = { command: "cat", abortGraceMs: 0, maxBytes: () => 100, report: () => undefined, log };
    const ending = await new Promise<HandlerOutcome>((end) => {
      const call = {
        id: "a",
        bytes: new Uint8Array(),
        tracestate: "a\u0000b",
        signal: new AbortController().signal,
        end,
      };
      new ExecRunner(options).run(call as unknown as Call);
    });
    assert.equal(ending.ok ? "" : ending.error.message, "the command cannot be started (ERR_INVALID_ARG_VALUE)");
  });

  test("a worker that runs commands as PID 1 says at its start that nobody reaps what they leave", async () => {
    const { log, lines } = readableLog();
    const options = { command: "cat", abortGraceMs: 0, maxBytes: () => 100, report: () => undefined, log };
    await new ExecRunner(options).start();
    assert.equal(lines.length, 0);
    await new ExecRunner({ ...options, pid: 1 }).start();
    assert.match(lines[0]?.msg ?? "", /PID 1.*--init/);
  });
});
