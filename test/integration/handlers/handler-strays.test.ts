/** Errors of a handler that belong to no job: the worker's other jobs are not lost. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { IsolatedRunner } from "../../../services/worker/handlers/isolated/isolated-runner.js";
import { PROCESSES } from "../../../services/worker/handlers/isolated/process-channel.js";
import { THREADS } from "../../../services/worker/handlers/isolated/thread-channel.js";
import { connectBus, startBroker, WHOLE_FILE } from "../../support/broker.js";
import type { Owner } from "../../support/clean-up.js";
import { HandlerFolder } from "../../support/core/handler-folder.js";
import { JobCaller } from "../../support/core/job-caller.js";
import { startCli, type TestProcess } from "../../support/process.js";
import { loadTimeoutMs } from "../../support/wait.js";

const broker = await startBroker(WHOLE_FILE);

const HANDLER = `
import { existsSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
export async function run(job) {
  if (job.payload === "reject") void Promise.reject(new Error("forgotten", { cause: new Error("deeper") }));
  if (job.payload === "throw") setTimeout(() => { throw new Error("from a timer"); }, 1);
  while (job.payload === "hold" && !existsSync(FOLDER + "/go")) await wait(5);
  return job.payload;
}`;

async function start(t: Owner): Promise<{ program: TestProcess; caller: JobCaller; folder: HandlerFolder }> {
  const folder = new HandlerFolder(t);
  const flags = ["--handler", folder.write("handler.mjs", HANDLER), "--pool", "strays", "--id", "w1", "--slots", "2"];
  const program = startCli(t, ["worker", ...flags], { env: { NATS_URL: broker.url } });
  await program.line(/worker ready/);
  return { program, folder, caller: new JobCaller(await connectBus(t, broker), "strays") };
}

describe("handler strays", () => {
  test("a rejection that nobody handles is a line in the log, and the worker goes on", async (t) => {
    const { program, caller, folder } = await start(t);
    const held = caller.send('"hold"', { jobId: "held" });
    await held.first("accepted");
    assert.equal((await caller.send('"reject"', { jobId: "a" }).outcome()).text, '"reject"');
    const [line] = await program.line(/^.*nobody handled it.*$/);
    const { level, error, stack, cause } = JSON.parse(line);
    assert.deepEqual([level, error], [50, "forgotten (cause: deeper)"]);
    assert.match(`${stack} ${cause}`, /handler\.mjs:\d+.*Error: deeper/s);
    folder.write("go", "");
    assert.equal((await held.outcome()).text, '"hold"');
    assert.equal((await program.stop()).code, 0);
  });

  test("an exception that nobody catches lets the other jobs finish; then the program ends with 1", async (t) => {
    const { program, caller, folder } = await start(t);
    const held = caller.send('"hold"', { jobId: "held" });
    await held.first("accepted");
    const thrower = caller.send('"throw"', { jobId: "a" });
    assert.equal((await thrower.outcome()).text, '"throw"');
    await program.line(/from a timer.*an exception that nobody caught: the worker stops/);
    folder.write("go", "");
    assert.equal((await held.outcome()).text, '"hold"');
    assert.equal((await program.exit()).code, 1);
  });

  for (const kind of [THREADS, PROCESSES]) {
    test(`a rejection that nobody handles ends its ${kind.name}, and no job that follows`, async (t) => {
      const died: string[] = [];
      const context = { pool: "p", worker: "w", slots: 1, isolation: kind.name };
      const runner = new IsolatedRunner({
        ...{ kind, slots: 1, recycleAfter: undefined, abortGraceMs: 1_000, graceMs: 1_000, loadTimeoutMs },
        source: { file: new HandlerFolder(t).write("handler.mjs", HANDLER), codec: undefined, context },
        ...{ report: () => undefined, onTeardownFailed: () => undefined, onStartLeft: () => undefined },
        ...{ onBroken: () => undefined, onUsable: () => undefined },
        onDiedIdle: (what) => died.push(what),
      });
      t.after(() => runner.stop());
      await runner.start();
      const outcomes = ["reject", "a", "reject", "b"].map((payload) => outcomeOf(runner, payload));
      assert.deepEqual(await Promise.all(outcomes), ['"reject"', '"a"', '"reject"', '"b"']);
      assert.match(died.join(), /exited with code 1: forgotten/);
    });
  }
});

function outcomeOf(runner: IsolatedRunner, payload: string): Promise<string> {
  return new Promise((resolve) => {
    runner.run({
      ...{
        id: payload,
        pool: "p",
        worker: "w",
        attempt: 1,
        attemptNumber: 1,
        lane: "core",
        maxAttempts: undefined,
        bytes: Buffer.from(JSON.stringify(payload)),
      },
      ...{ traceparent: undefined, tracestate: undefined, signal: new AbortController().signal },
      deadlineAtMs: performance.now() + 60_000,
      progress: () => undefined,
      end: (outcome) => resolve(outcome.ok ? Buffer.from(outcome.payload).toString() : outcome.error.message),
    });
  });
}
