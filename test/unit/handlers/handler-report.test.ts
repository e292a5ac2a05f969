import assert from "node:assert/strict";
import { test } from "node:test";
import { PoolError, type Reason } from "../../../mesh/errors.js";
import {
  droppedProgressReportTo,
  failedJob,
  reportTo,
  traceIdOf,
} from "../../../services/worker/handlers/job-report.js";
import type { Call } from "../../../services/worker/handlers/runner.js";
import { readableLog } from "../../support/log-lines.js";

const ID = "4bf92f3577b34da6a3ce929d0e0e4736";

function makeCall(signal = new AbortController().signal): Call {
  return {
    ...{
      id: "j",
      pool: "p",
      worker: "w",
      attempt: 3,
      attemptNumber: 3,
      lane: "core",
      maxAttempts: undefined,
      bytes: new Uint8Array([1]),
      tracestate: undefined,
    },
    ...{ traceparent: `00-${ID}-00f067aa0ba902b7-01`, deadlineAtMs: 0, signal },
    progress: () => undefined,
    end: () => undefined,
  };
}

test("handler report - the trace id is that of a W3C traceparent, or none", () => {
  assert.equal(traceIdOf(`00-${ID}-00f067aa0ba902b7-01`), ID);
  assert.equal(traceIdOf(`cc-${ID}-00f067aa0ba902b7-01-more`), ID);
  for (const none of [undefined, "", "00-aa-bb-01", `00-${"0".repeat(32)}-00f067aa0ba902b7-01`, ID, `\n${ID}`]) {
    assert.equal(traceIdOf(none), undefined);
  }
});

test("handler report - a failed job's line has what a person needs, and no payload", () => {
  const error = new PoolError("job_failed", "no quote", { jobCode: "late" });
  const thrown = { permanent: false, message: "no quote", code: "late", stack: "Error: no quote", cause: "Error: x" };
  assert.deepEqual(failedJob(makeCall(), { ok: false, error, thrown }), {
    ...{ pool: "p", worker: "w", job: "j", attempt: 3, traceId: ID },
    ...{ reason: "job_failed", code: "late", error: "no quote", stack: "Error: no quote", cause: "Error: x" },
  });
});

test("handler report - what the caller is the reason of is logged at info, all else at warn, and an aborted job once", () => {
  const { log, lines } = readableLog();
  const report = reportTo(log);
  const reasons: Reason[] = ["job_failed", "internal", "job_rejected", "invalid_argument"];
  for (const reason of reasons) report(makeCall(), { ok: false, error: new PoolError(reason, "x") });
  for (const reason of ["deadline_exceeded", "canceled", "draining"] as const) {
    const controller = new AbortController();
    const error = new PoolError(reason, "x");
    controller.abort(error);
    report(makeCall(controller.signal), { ok: false, error });
    report(makeCall(controller.signal), { ok: false, error: new PoolError("job_failed", "AbortError") });
  }
  assert.deepEqual(
    lines.map(({ level, reason, msg }) => [level, reason, msg]),
    [
      ["warn", "job_failed", "job failed"],
      ["warn", "internal", "job failed"],
      ["info", "job_rejected", "job failed"],
      ["info", "invalid_argument", "job failed"],
      ["warn", "deadline_exceeded", "job failed"],
      ["info", "canceled", "job failed"],
      ["info", "draining", "job failed"],
    ],
  );
});

test("handler report - progress that the broker takes no more is a line, once for each job", () => {
  const { log, lines } = readableLog();
  const report = droppedProgressReportTo(log);
  const job = makeCall();
  report(job, 9);
  report(job, 9);
  report(makeCall(), 8);
  assert.deepEqual(
    lines.map(({ level, job, bytes }) => [level, job, bytes]),
    [
      ["warn", "j", 9],
      ["warn", "j", 8],
    ],
  );
});
