/** Progress, wherever the handler runs: bounded on its way, and what cannot be sent is told. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PROGRESS_WINDOW } from "../../../services/worker/jobs/progress-flow.js";
import { startBroker, WHOLE_FILE } from "../../support/broker.js";
import type { SentJob } from "../../support/core/job-caller.js";
import type { Trick } from "../../support/handlers/odd.js";
import { leakGuard } from "../../support/leak-guard.js";
import { programFile } from "../../support/program-file.js";
import { startWorker } from "../../support/started-worker.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const broker = await startBroker(WHOLE_FILE);
const handlerFile = programFile("../../support/handlers/odd", import.meta.url);
/** The broker's max_payload, in bytes. */
const MAX_PAYLOAD = 2 ** 20;

function stepsOf(sent: SentJob): number[] {
  const values = sent.replies.filter(({ kind }) => kind === "progress").map(({ text }) => JSON.parse(text));
  return values.map(({ step }) => step as number);
}

function assertRising(steps: readonly number[]): void {
  assert.ok(
    steps.every((step, i) => i === 0 || step > (steps[i - 1] ?? 0)),
    "in order, none twice",
  );
}

for (const isolation of ["inline", "thread", "process"] as const) {
  describe(`progress: ${isolation}`, () => {
    const options = { handlerFile, isolation, abortGraceMs: 5_000, slots: 2 };

    test("100,000 values at once are coalesced: in order, the last one before the outcome", async (t) => {
      const { caller } = await startWorker(t, broker, options);
      const sent = caller.send(JSON.stringify({ do: "flood", steps: 100_000 } satisfies Trick), { jobId: "f" });
      assert.equal((await sent.outcome()).text, '"done"');
      const steps = stepsOf(sent);
      assertRising(steps);
      assert.deepEqual([steps.at(0), steps.at(-1)], [1, 100_000]);
      assert.equal(steps.length, PROGRESS_WINDOW + 1);
    });

    test("a handler that reports without end stops neither other jobs nor a cancel", async (t) => {
      const { caller, worker } = await startWorker(t, broker, options);
      const flood = caller.send(JSON.stringify({ do: "flood-until-abort" } satisfies Trick), { jobId: "f" });
      await eventually(() => stepsOf(flood).length > 4 * PROGRESS_WINDOW, { what: "more than what fits on its way" });
      const beside = caller.send(JSON.stringify({ do: "echo" } satisfies Trick), { jobId: "e" });
      assert.equal((await beside.outcome()).kind, "result");
      caller.cancel("f");
      assert.equal((await flood.outcome()).error?.reason, "canceled");
      await eventually(() => worker.busy === 0);
      assertRising(stepsOf(flood));
    });

    test("progress that the broker does not take is an exception in the handler, which says so", async (t) => {
      const { caller } = await startWorker(t, broker, options);
      const sent = caller.send(JSON.stringify({ do: "report", bytes: MAX_PAYLOAD } satisfies Trick), { jobId: "b" });
      const { reason, field, message } = JSON.parse((await sent.outcome()).text);
      assert.deepEqual([reason, field], ["payload_too_large", "progress"]);
      assert.match(message, /^progress: 1048578 bytes, the broker takes at most 1048064: /);
      assert.deepEqual(stepsOf(sent), []);
    });

    test("progress that the codec refuses is called progress, not payload", async (t) => {
      const { caller } = await startWorker(t, broker, options);
      const sent = caller.send(JSON.stringify({ do: "report", text: "map" } satisfies Trick), { jobId: "m" });
      const { reason, field, message } = JSON.parse((await sent.outcome()).text);
      assert.deepEqual([reason, field], ["invalid_argument", "progress"]);
      assert.match(message, /^progress: a Map has no JSON form: /);
    });
  });
}
