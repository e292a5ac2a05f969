/** What becomes of a durable job: both tables of decide.ts, row by row. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type DurableJob, durableDefaults } from "../../../mesh/durable/job.js";
import { PoolError, type PoolErrorOptions, type Reason } from "../../../mesh/errors.js";
import { JobResult, type Outcome } from "../../../mesh/job/job.js";
import { backoffMs } from "../../../services/manager/durable/backoff.js";
import {
  type Act,
  type DeliveredJob,
  type Known,
  mustLook,
  onDelivery,
  onOutcome,
  whilePaused,
} from "../../../services/manager/durable/decide.js";

const NOW = 1_000_000;

function delivered(deliveries = 1, job: Partial<DurableJob> = {}) {
  return { id: "j", sequence: 7, deliveries, job: { ...durableDefaults(), ...job } };
}

function short(act: Act): string {
  if (act.do === "bury") return `bury ${act.error.reason}${act.error.maybeExecuted ? " maybe" : ""}`;
  if (act.do === "giveBack" || act.do === "wait") return `${act.do} ${act.delayMs}`;
  if (act.do === "join") return `join, else ${short(act.else)}`;
  if (act.do === "claim") return `claim over ${act.over}`;
  if (act.do === "store") return act.outcome.ok ? "store result" : `store ${act.outcome.error.reason}`;
  return act.do;
}

const died = new PoolError("job_failed", "boom");

const DELIVERIES: [what: string, DeliveredJob, Known, expected: string][] = [
  ["a new job runs", delivered(), {}, "run"],
  ["one that was delivered before is joined where it runs", delivered(3), {}, "join, else run"],
  ["one that perhaps was is joined, too", { ...delivered(1), mayBeRepeat: true }, {}, "join, else run"],
  ["and settled when it has ended", { ...delivered(1), mayBeRepeat: true }, { outcome: { sequence: 4 } }, "settle"],
  ["but not one that was seen to end here", { ...delivered(3), wasEndedHere: true }, {}, "run"],
  ["one with an outcome is settled", delivered(2), { outcome: { sequence: 4 } }, "settle"],
  [
    "an outcome that it runs over does not count",
    delivered(1, { afterOutcome: 4 }),
    { outcome: { sequence: 4 } },
    "run",
  ],
  ["a later one does", delivered(2, { afterOutcome: 4 }), { outcome: { sequence: 5 } }, "settle"],
  ["an outcome wins over its time being over", delivered(2, { expiresAt: 1 }), { outcome: { sequence: 5 } }, "settle"],
  ["one whose burial was begun is buried", delivered(2), { dead: { job: 7, error: died } }, "bury job_failed"],
  [
    "the dead letter of an earlier job of its id is not its own",
    delivered(2),
    { dead: { job: 6, error: died } },
    "join, else run",
  ],
  ["one whose time is over does not run", delivered(1, { expiresAt: NOW }), {}, "store deadline_exceeded"],
  ["one whose time is not over runs", delivered(1, { expiresAt: NOW + 1 }), {}, "run"],
  ["one that may run once is claimed first", delivered(1, { idempotent: false }), {}, "claim over 0"],
  [
    "over the claim of an earlier job of its id",
    delivered(2, { idempotent: false }),
    { claim: { sequence: 3, job: 6 } },
    "claim over 3",
  ],
  [
    "and is joined or buried, but never runs, when it was claimed",
    delivered(2, { idempotent: false }),
    { claim: { sequence: 3, job: 7 } },
    "join, else bury worker_lost maybe",
  ],
  ["15 deliveries of 5 attempts are too few to give it up", delivered(15), {}, "join, else run"],
  ["16 are too many: it ends those who have it", delivered(16), {}, "bury worker_lost maybe"],
];

test("durable - what is done with a delivery", () => {
  for (const [what, delivery, known, expected] of DELIVERIES) {
    assert.equal(short(onDelivery(delivery, known, NOW)), expected, what);
  }
  const malformed = { ...delivered(), job: new PoolError("invalid_argument", "no") };
  assert.equal(short(onDelivery(malformed, {}, NOW)), "bury invalid_argument");
  assert.deepEqual(
    [mustLook(delivered(1)), mustLook(delivered(2)), mustLook(delivered(1, { check: true }))],
    [false, true, true],
  );
  assert.equal(mustLook(malformed), false);
});

function failed(reason: Reason, options: PoolErrorOptions = {}): Outcome {
  return { ok: false, id: "j", error: new PoolError(reason, "why", options), worker: "w", attempt: 1 };
}

function result(bytes: number): Outcome {
  return { ok: true, id: "j", result: new JobResult("j", new Uint8Array(bytes), "w", 1, 0, 0) };
}

const maybe = { maybeExecuted: true };
const once = { idempotent: false };
const OUTCOMES: [what: string, ReturnType<typeof delivered>, Outcome, expected: string, ifLost: string][] = [
  ["a result is stored, whoever has the job now", delivered(), result(10), "store result", "store result"],
  ["one that is too large is not retried", delivered(), result(11), "bury payload_too_large maybe", "letGo"],
  ["canceled is an end", delivered(), failed("canceled"), "store canceled", "store canceled"],
  [
    "a failure after its time is over is an end",
    delivered(1, { expiresAt: NOW }),
    failed("job_failed"),
    "store deadline_exceeded",
    "store deadline_exceeded",
  ],
  ["a failure is retried", delivered(), failed("job_failed"), "giveBack 1000", "letGo"],
  ["later and later", delivered(4), failed("job_failed"), "giveBack 8000", "letGo"],
  ["until its last", delivered(5), failed("job_failed"), "bury job_failed", "letGo"],
  ["with the error's own wait", delivered(), failed("job_failed", { retryAfterMs: 77 }), "giveBack 77", "letGo"],
  ["an attempt out of time is retried", delivered(), failed("deadline_exceeded", maybe), "giveBack 1000", "letGo"],
  ["a lost worker too", delivered(), failed("worker_lost", maybe), "giveBack 1000", "letGo"],
  ["PermanentError is not", delivered(), failed("job_rejected"), "bury job_rejected", "letGo"],
  ["nor what the codec refuses", delivered(), failed("invalid_argument"), "bury invalid_argument", "letGo"],
  [
    "what drains gives back at once, and it never kills",
    delivered(9),
    failed("draining", maybe),
    "giveBack 0",
    "letGo",
  ],
  ["a full pool is not the job's fault, and no delivery", delivered(9), failed("pool_full"), "wait 1000", "letGo"],
  ["one that may run once and threw is retried", delivered(1, once), failed("job_failed"), "giveBack 1000", "letGo"],
  ["one that may have run is not", delivered(1, once), failed("worker_lost", maybe), "bury worker_lost maybe", "letGo"],
  ["also when its manager drains", delivered(1, once), failed("draining", maybe), "bury draining maybe", "letGo"],
];

test("durable - what follows from an outcome, with the lease of the job and without", () => {
  const standing = { chance: 0.5, wallNowMs: NOW, resultLimitBytes: 10 };
  for (const [what, delivery, outcome, expected, ifLost] of OUTCOMES) {
    assert.equal(short(onOutcome(delivery, outcome, { ...standing, holdsLease: true })), expected, what);
    assert.equal(
      short(onOutcome(delivery, outcome, { ...standing, holdsLease: false })),
      ifLost,
      `${what}, lease lost`,
    );
  }
});

test("durable - waits double up to the cap, and are spread by a fifth", () => {
  const backoff = { baseMs: 1_000, capMs: 60_000 };
  assert.deepEqual(
    [1, 2, 3, 6, 7, 100].map((deliveries) => backoffMs(backoff, deliveries, 0.5)),
    [1_000, 2_000, 4_000, 32_000, 60_000, 60_000],
  );
  assert.deepEqual([backoffMs(backoff, 1, 0), backoffMs(backoff, 1, 0.999_999)], [800, 1_200]);
});

test("decide - while its level is paused no job begins; what a worker may have is joined, and what is over is stored", () => {
  const jobs: [DeliveredJob, Known, string][] = [
    [delivered(), {}, "wait 500"],
    [delivered(1, { idempotent: false }), {}, "wait 500"],
    [delivered(2), {}, "join, else run"],
    [delivered(2), { outcome: { sequence: 4 } }, "settle"],
    [delivered(1, { expiresAt: NOW }), {}, "store deadline_exceeded"],
  ];
  for (const [job, known, expected] of jobs) assert.equal(short(whilePaused(onDelivery(job, known, NOW))), expected);
  assert.equal(short(whilePaused({ do: "giveBack", delayMs: 0 })), "giveBack 0");
});
