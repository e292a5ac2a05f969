/** The checker of the fault suite: histories that must fail, each next to one that must pass. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FaultEvent, Recorded } from "../../faults/history.js";
import { totalQueue } from "../../faults/invariants/outcome-rules.js";
import type { InvariantId } from "../../faults/invariants/rule.js";
import { checkHistory } from "../../faults/invariants.js";

const SUBMIT: FaultEvent = { kind: "submit", id: "j", timeoutMs: 1_000, idempotent: false };
const START: FaultEvent = { kind: "start", id: "j", attempt: 1, worker: "w", pid: 7 };
const END: FaultEvent = { kind: "end", id: "j", attempt: 1, worker: "w", pid: 7, how: "returned" };
const OK: FaultEvent = { kind: "outcome", id: "j", ok: true, attempt: 1, ran: { id: "j", attempt: 1, pid: 7 } };
const ENQUEUED: FaultEvent = { kind: "enqueued", id: "j", idempotent: false };
const STORED = { kind: "stored", id: "j", as: "result", outcomes: 1 } as const;
const ACCEPTED: FaultEvent = { kind: "accepted", id: "j", attempt: 1, worker: "w" };
const failed = (reason: string, message: string): FaultEvent => ({
  kind: "outcome",
  id: "j",
  ok: false,
  reason,
  message,
  attempt: 1,
});
const exit = (more: Partial<Extract<FaultEvent, { kind: "exit" }>>): FaultEvent => ({
  kind: "exit",
  process: "w",
  afterMs: 10,
  graceMs: 0,
  code: 0,
  allowed: [0],
  listening: [],
  ...more,
});
const stream = (version: number, slots: number, snapshot = false): FaultEvent => ({
  kind: "stream",
  stream: "s",
  snapshot,
  version,
  slots,
  busy: 0,
});
const meter = (slots: number, afterMs: number): FaultEvent => ({
  kind: "meter",
  seen: { slots },
  wanted: { slots: 2 },
  afterMs,
  intervalMs: 1_000,
});
const resources = (phase: "baseline" | "rest", held: Record<string, number>): FaultEvent => ({
  kind: "resources",
  process: "m",
  phase,
  held,
});

/** Events one millisecond apart, but for those that say when. */
function history(...events: (FaultEvent | [FaultEvent, number])[]): Recorded[] {
  return events.map((event, i) => (Array.isArray(event) ? { ...event[0], at: event[1] } : { ...event, at: i }));
}

const WELL = [SUBMIT, START, ACCEPTED, END, OK];

const MUST_FAIL: readonly [InvariantId, string, Recorded[]][] = [
  ["I1", "a job without an outcome", history(SUBMIT)],
  ["I1", "a job with two outcomes", history(...WELL, OK)],
  ["I1", "an outcome that nobody asked for", history(START, OK)],
  ["I1", "an outcome more than a second after the deadline", history(SUBMIT, START, [OK, 2_001])],
  ["I2", "a stored job without an outcome", history(ENQUEUED, START)],
  ["I2", "a stored job that does not end", history(ENQUEUED, { ...STORED, as: "live" })],
  ["I2", "two stored outcomes", history(ENQUEUED, START, END, { ...STORED, outcomes: 2 })],
  ["I2", "a result of a job that never ran", history(ENQUEUED, STORED)],
  ["I2", "a stored job that may run once, and ran twice", history(ENQUEUED, START, { ...START, attempt: 2 }, STORED)],
  ["I3", "one attempt that ran twice", history(SUBMIT, START, END, { ...START, worker: "v" }, OK)],
  ["I3", "a second run after an accepted one", history(SUBMIT, START, ACCEPTED, { ...START, attempt: 2 }, OK)],
  ["I4", "a busy slot at rest", history({ kind: "rest", seen: { busy: 1 }, wanted: { busy: 0 } })],
  ["I5", "a meter that is wrong", history(meter(1, 10))],
  ["I5", "a meter that was wrong for too long", history(meter(2, 4_001))],
  ["I6", "two handlers in one slot", history({ kind: "worker", worker: "w", slots: 1 }, START, { ...START, id: "k" })],
  ["I7", "a descriptor more than before", history(resources("baseline", { fds: 9 }), resources("rest", { fds: 10 }))],
  ["I7", "a process that was not measured afterwards", history(resources("baseline", { fds: 9 }))],
  ["I8", "a reason that is not in the catalogue", history(SUBMIT, failed("oops", "no"))],
  ["I8", "a bug of ours", history(SUBMIT, failed("internal", "internal error"))],
  ["I8", "a message with a path", history(SUBMIT, failed("job_failed", "in /home/somebody/secret/file.ts"))],
  ["I8", "a message with a stack", history(SUBMIT, failed("job_failed", "no\n    at run (a.ts:1:2)"))],
  ["I8", "a message with a password", history(SUBMIT, failed("job_failed", "nats://me:pw@host refused"))],
  ["I9", "a process that takes too long", history(exit({ afterMs: 4_001 }))],
  ["I9", "a process with another code", history(exit({ code: 1 }))],
  ["I9", "a process that was killed", history(exit({ code: null }))],
  ["I9", "a port that still answers", history(exit({ listening: ["http://127.0.0.1:1"] }))],
  ["I11", "a stream without a snapshot", history(stream(1, 2))],
  ["I11", "versions that fall", history(stream(2, 2, true), stream(1, 2))],
  [
    "I11",
    "a last message that is not the truth",
    history(stream(1, 1, true), { kind: "truth", stream: "s", slots: 2, busy: 0 }),
  ],
  ["I11", "a stream that says nothing", history({ kind: "truth", stream: "s", slots: 2, busy: 0 })],
  ["I12", "the result of a revoked attempt", history(SUBMIT, START, { kind: "revoked", id: "j", attempt: 1 }, OK)],
  [
    "I12",
    "the result of a manager that its caller gave up",
    history(SUBMIT, START, { kind: "revoked", id: "j", attempt: 1_000 }, OK),
  ],
  ["I12", "the result of another job", history({ ...SUBMIT, id: "k" }, START, { ...OK, id: "k" } as FaultEvent)],
  ["I12", "the result of an attempt that never ran", history(SUBMIT, OK)],
  [
    "I12",
    "the result of an earlier attempt when the later one ran too",
    history(SUBMIT, START, { ...START, attempt: 2 }, { ...OK, attempt: 2 } as FaultEvent),
  ],
  [
    "I12",
    "the result of a later attempt that is told as the first one's",
    history(SUBMIT, { ...START, attempt: 3 }, { ...OK, ran: { id: "j", attempt: 3, pid: 7 } } as FaultEvent),
  ],
];

for (const [invariant, what, events] of MUST_FAIL) {
  test(`fault invariants - ${invariant} is broken by ${what}`, () => {
    const broken = checkHistory(events).violations.map((each) => each.invariant);
    assert.ok(broken.includes(invariant), `found only ${broken.join(", ") || "nothing"}`);
  });
}

const MUST_PASS: readonly [string, Recorded[]][] = [
  ["a job that runs and returns", history(...WELL)],
  ["a second run of a job whose first was never accepted", history(SUBMIT, START, { ...START, attempt: 2 }, OK)],
  [
    "a second run of an idempotent job",
    history({ ...SUBMIT, idempotent: true }, START, ACCEPTED, { ...START, attempt: 2 }, OK),
  ],
  [
    "an earlier attempt that answers for a later one that did not run",
    history(SUBMIT, START, END, { kind: "revoked", id: "j", attempt: 1 }, { ...OK, attempt: 2 } as FaultEvent),
  ],
  [
    "a second attempt that answers for the first one of the next manager, which is told as 2 as well",
    history(SUBMIT, { ...START, attempt: 2 }, { kind: "revoked", id: "j", attempt: 1_000 }, { ...END, attempt: 2 }, {
      ...OK,
      attempt: 2,
      ran: { id: "j", attempt: 2, pid: 7 },
    } as FaultEvent),
  ],
  [
    "a third attempt of a job that answers for the first one of the next manager, which is told as 2",
    history(SUBMIT, { ...START, attempt: 3 }, { ...END, attempt: 3 }, { kind: "revoked", id: "j", attempt: 1_000 }, {
      ...OK,
      attempt: 2,
      ran: { id: "j", attempt: 3, pid: 7 },
    } as FaultEvent),
  ],
  ["two callers of one id that both hear its outcome", history(SUBMIT, SUBMIT, START, OK, OK)],
  [
    "slots that are used one after the other",
    history({ kind: "worker", worker: "w", slots: 1 }, START, END, { ...START, id: "k" }),
  ],
  [
    "a worker that starts again after it was killed at work",
    history(
      { kind: "worker", worker: "w", slots: 1 },
      START,
      { kind: "worker", worker: "w", slots: 1 },
      { ...START, id: "k" },
    ),
  ],
  [
    "memory that is a little more than before",
    history(resources("baseline", { memoryMib: 80 }), resources("rest", { memoryMib: 90 })),
  ],
  [
    "a stream that ends on the truth",
    history(stream(1, 1, true), stream(2, 2), { kind: "truth", stream: "s", slots: 2, busy: 0 }),
  ],
  ["a process that ends within its grace", history(exit({ afterMs: 900 }))],
];

for (const [what, events] of MUST_PASS) {
  test(`fault invariants - nothing is broken by ${what}`, () => {
    const found = checkHistory(events).violations.filter(({ invariant }) => invariant !== "I1" || what.includes("job"));
    assert.deepEqual(found, []);
  });
}

test("fault invariants - only those that had something to look at count as checked", () => {
  assert.deepEqual(checkHistory(history(exit({}))).checked, ["I9"]);
  assert.deepEqual(checkHistory(history(...WELL)).checked, ["I1", "I3", "I6", "I8", "I12"]);
});

test("fault invariants - the total-queue report counts lost, unexpected, duplicated and recovered", () => {
  const lost = { ...SUBMIT, id: "lost" };
  const stranger = { ...OK, id: "stranger" } as FaultEvent;
  const report = totalQueue(history(SUBMIT, START, { ...START, attempt: 2 }, OK, lost, stranger));
  const { submitted, ok, failed: bad, ...rest } = report;
  assert.deepEqual([submitted, ok, bad], [2, 2, 0]);
  assert.deepEqual(rest, { lost: 1, unexpected: 1, duplicated: 1, recovered: 1 });
});
