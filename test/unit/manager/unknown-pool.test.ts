import assert from "node:assert/strict";
import { test } from "node:test";
import type { Reason } from "../../../mesh/errors.js";
import { isKnownPool, isShownPool, mayWait, type PoolFacts } from "../../../services/manager/doors/unknown-pool.js";

const NAME: PoolFacts = { isNamed: false, everHeard: false, outcomes: new Map(), liveJobs: 0 };
const after = (outcome: Reason | "ok"): PoolFacts => ({ ...NAME, outcomes: new Map([[outcome, 1]]) });

test("unknown pools - a pool is known by its operator, a heartbeat, or an answer of a worker", () => {
  const known = [{ ...NAME, isNamed: true }, { ...NAME, everHeard: true }, after("ok"), after("job_failed")];
  const unknown = [
    NAME,
    after("deadline_exceeded"),
    after("canceled"),
    after("unknown_pool"),
    { ...NAME, liveJobs: 3 },
  ];
  assert.deepEqual(known.map(isKnownPool), [true, true, true, true]);
  assert.deepEqual(unknown.map(isKnownPool), [false, false, false, false, false]);
});

test("unknown pools - a name is shown while a job waits for it, and no longer", () => {
  assert.deepEqual([NAME, after("deadline_exceeded"), { ...NAME, liveJobs: 1 }].map(isShownPool), [false, false, true]);
});

test("unknown pools - a job waits for what is known, or when its caller says so, and never against its wish", () => {
  const known = after("ok");
  const ask = (noWait: boolean, waitForPool: boolean) => [NAME, known].map((f) => mayWait(f, { noWait, waitForPool }));
  assert.deepEqual(ask(false, false), [false, true]);
  assert.deepEqual(ask(false, true), [true, true]);
  assert.deepEqual(ask(true, true), [false, false]);
});
