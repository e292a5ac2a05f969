/** Random values out of handlers: no process dies, each job has one outcome of the catalogue, no password is told. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isReason } from "../../../mesh/errors.js";
import { startBroker, WHOLE_FILE } from "../../support/broker.js";
import { leakGuard } from "../../support/leak-guard.js";
import { programFile } from "../../support/program-file.js";
import { startWorker } from "../../support/started-worker.js";

const SEED = Number(process.env.FUZZ_SEED ?? 20_261_128);
/** The jobs of one isolation end when either is over. */
const MOST_JOBS = 400;
const LIMIT_MS = 3_000;

leakGuard();
const broker = await startBroker(WHOLE_FILE);
const handlerFile = programFile("../../support/handlers/random-values", import.meta.url);

for (const isolation of ["inline", "thread", "process"] as const) {
  test(`random values out of a handler end its own job with one outcome, and nothing else: ${isolation}`, async (t) => {
    const { caller, worker } = await startWorker(t, broker, { handlerFile, isolation, slots: 2 });
    const endAtMs = performance.now() + LIMIT_MS;
    let jobs = 0;
    for (; jobs < MOST_JOBS && performance.now() < endAtMs; jobs += 1) {
      const said = `seed ${SEED + jobs}`;
      const sent = caller.send(String(SEED + jobs), { jobId: `j${jobs}` });
      const beside = caller.send('"beside"', { jobId: `b${jobs}` });
      const reply = await sent.outcome();
      if (reply.kind === "error") assert.ok(isReason(reply.error?.reason ?? ""), said);
      if (reply.kind === "error") assert.doesNotMatch(reply.text, /hunter|\n\s+at /, said);
      assert.notEqual(reply.error?.reason, "internal", `${said}: ${reply.text}`);
      assert.equal((await beside.outcome()).text, '"beside"', said);
      await caller.bus.flush();
      assert.equal(sent.outcomes().length, 1, said);
    }
    t.diagnostic(`seeds ${SEED} to ${SEED + jobs - 1}`);
    assert.ok(jobs > 0);
    assert.equal(worker.busy, 0);
  });
}
