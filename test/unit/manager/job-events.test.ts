/** What managers tell of jobs while somebody looks. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { ErrorDetailSchema } from "../../../gen/poolmesh/v1/error_pb.js";
import { JobEventKind, JobEventSchema, JobFilterSchema, JobViewState } from "../../../gen/poolmesh/v1/job_pb.js";
import { PoolError } from "../../../mesh/errors.js";
import { decodeEvent, EVENT_WORDS, encodeEvent, isMeantEvent } from "../../../mesh/job/job-events.js";
import { toTimestamp } from "../../../mesh/job/job-views.js";
import { Subjects } from "../../../mesh/wire/subjects.js";
import { Budget, EVENTS_PER_SECOND, JobEvents, type JobEventsParts } from "../../../services/manager/inspect/events.js";
import type { JobObserver } from "../../../services/manager/jobs/job.js";
import { observe, unobserve } from "../../../services/manager/jobs/observers.js";
import { CoreRig } from "../../support/core/core-rig.js";

/** Writes down what it hears. */
function recorder(): { readonly heard: string[]; readonly observer: JobObserver } {
  const heard: string[] = [];
  const observer: JobObserver = {
    taken: ({ id }) => heard.push(`taken ${id}`),
    parked: ({ id }) => heard.push(`parked ${id}`),
    sent: ({ job, number }, worker) => heard.push(`sent ${job.id} ${number} ${worker}`),
    refused: ({ job }, worker) => heard.push(`refused ${job.id} ${worker}`),
    accepted: ({ job }, worker) => heard.push(`accepted ${job.id} ${worker}`),
    revoked: ({ job, number }) => heard.push(`revoked ${job.id} ${number}`),
    ended: ({ id }, outcome) => heard.push(`ended ${id} ${outcome.ok}`),
  };
  return { heard, observer };
}

test("events - an observer hears all that happens to a job, in its order, and nothing any more once it is gone", () => {
  const rig = new CoreRig();
  const [one, other] = [recorder(), recorder()];
  for (const { observer } of [one, one, other]) observe(rig.totals, observer);
  rig.heartbeat("w1", 1);
  rig.submit({ id: "a" });
  rig.accepted("a", "w1", 0);
  rig.submit({ id: "b" });
  rig.result("a", "w1", 1);
  rig.busy("b", "w1", 0);
  rig.heartbeat("w1", 1, 1);
  assert.deepEqual(one.heard, [
    "taken a",
    "accepted a w1",
    "taken b",
    "parked b",
    "ended a true",
    "refused b w1",
    "parked b",
  ]);
  assert.deepEqual(other.heard, one.heard);
  unobserve(rig.totals, one.observer);
  rig.dispatcher.cancel(rig.dispatcher.live("b")!, new PoolError("canceled", "enough"));
  assert.equal(other.heard.at(-1), "ended b false");
  assert.equal(one.heard.at(-1), "parked b");
  unobserve(rig.totals, other.observer);
  assert.equal(rig.totals.observer, undefined, "a job costs nothing more");
});

test("events - managers tell of a pool for ten seconds after they were asked, then jobs cost nothing more", () => {
  const rigs = { asked: new CoreRig(), other: new CoreRig() };
  const pools = Object.entries(rigs).map(([name, { totals }]) => ({ name, totals }));
  const sent: string[] = [];
  let nowMs = 0;
  const bus = { runtime: { now: () => nowMs, wallNow: () => nowMs }, publish: (subject: string) => sent.push(subject) };
  const events = new JobEvents({
    ...{ bus, subjects: new Subjects(), manager: "m", pools: () => pools, always: false },
  } as unknown as JobEventsParts);
  events.checkWatched(nowMs);
  const submitBoth = (id: string): void => {
    for (const rig of Object.values(rigs)) {
      rig.heartbeat("w1", 8);
      rig.submit({ id });
    }
  };
  submitBoth("unseen");
  assert.deepEqual(sent, []);
  events.watch("asked");
  submitBoth("seen");
  assert.deepEqual(sent, ["pool.asked.event.submitted"]);
  nowMs = 9_000;
  events.checkWatched(nowMs);
  submitBoth("seen-too");
  assert.equal(sent.length, 2);
  nowMs = 10_001;
  events.checkWatched(nowMs);
  submitBoth("unseen-again");
  assert.deepEqual([sent.length, rigs.asked.totals.observer], [2, undefined]);
  events.watch(undefined);
  submitBoth("all");
  assert.deepEqual(sent.slice(2).sort(), ["pool.asked.event.submitted", "pool.other.event.submitted"]);
});

test("events - a revoked attempt is told", () => {
  const rig = new CoreRig();
  const { heard, observer } = recorder();
  observe(rig.totals, observer);
  rig.heartbeat("w1", 1);
  rig.submit({ id: "a", idempotent: true });
  rig.advance(2_000);
  assert.ok(heard.includes("revoked a 1"), heard.join());
});

test("events - no more than so many are sent a second; then whole jobs are left out, and what was dropped is counted", () => {
  const budget = new Budget();
  let told = 0;
  for (let i = 0; i < 3 * EVENTS_PER_SECOND; i += 1) if (budget.takes(`j${i}`, 0)) told += 1;
  assert.equal(told, EVENTS_PER_SECOND);
  assert.equal(budget.takeDropped(), 2 * EVENTS_PER_SECOND);
  assert.equal(budget.takeDropped(), 0);
  const whole = new Map<string, number>();
  for (let i = 0; i < EVENTS_PER_SECOND; i += 1) {
    for (let event = 0; event < 3; event += 1) {
      if (budget.takes(`j${i}`, 1_000)) whole.set(`j${i}`, (whole.get(`j${i}`) ?? 0) + 1);
    }
  }
  assert.equal(budget.oneIn, 4, "a power of two that is enough");
  assert.ok(whole.size > 100 && whole.size < EVENTS_PER_SECOND / 2, String(whole.size));
  assert.deepEqual([...new Set(whole.values())], [3], "all events of a job, or none");
  budget.takes("j", 60_000);
  assert.equal(budget.oneIn, 1, "after a quiet minute all are told");
});

test("events - an event travels as JSON that a person can read, and comes back as it was", () => {
  const error = create(ErrorDetailSchema, { reason: "job_failed", message: "no", code: "e1", maybeExecuted: true });
  for (const [word, kind] of Object.entries(EVENT_WORDS)) {
    const event = create(JobEventSchema, {
      ...{ kind, at: toTimestamp(1_700_000_000_123), pool: "p", jobId: "j", manager: "m", worker: "w", attempt: 2 },
      ...{ client: "ci", payloadBytes: 5n, resultBytes: 6n },
      ...(kind === JobEventKind.FAILED ? { error, waitMs: 1.5, runMs: 2, totalMs: 3.5 } : {}),
    });
    const text = encodeEvent({ event, oneIn: 4, dropped: 7 });
    const said = JSON.parse(text) as Record<string, unknown>;
    assert.deepEqual([said.event, said.job, said.at], [word, "j", "2023-11-14T22:13:20.123Z"]);
    assert.deepEqual(decodeEvent(Buffer.from(text)), { event, oneIn: 4, dropped: 7 });
  }
});

test("events - what is no event is none, whatever its fields are", () => {
  const good = { event: "sent", at: "2023-11-14T22:13:20.123Z", pool: "p", job: "j", manager: "m" };
  assert.notEqual(decodeEvent(Buffer.from(JSON.stringify(good))), undefined);
  const odd: unknown[] = [
    null,
    1,
    "x",
    [],
    {},
    { ...good, pool: "a b" },
    { ...good, at: 5 },
    { ...good, event: "toString" },
  ];
  for (const each of [...odd, { ...good, job: undefined }, { ...good, manager: [] }]) {
    assert.equal(decodeEvent(Buffer.from(JSON.stringify(each))), undefined, JSON.stringify(each));
  }
  for (const text of ["", "{", "\u0000", `{"event":"sent","x":"${"x".repeat(20_000)}"}`]) {
    assert.equal(decodeEvent(Buffer.from(text)), undefined);
  }
  const strange = { ...good, attempt: -1, oneIn: 1e300, dropped: "many", waitMs: null, error: [], client: {} };
  const { event, oneIn, dropped } = decodeEvent(Buffer.from(JSON.stringify(strange)))!;
  assert.deepEqual([event.attempt, oneIn, dropped, event.error, event.client], [0, 1, 0, undefined, ""]);
});

test("events - a filter means events by what they leave their job in", () => {
  const event = (kind: JobEventKind) =>
    create(JobEventSchema, { kind, pool: "p", jobId: "job-1", client: "ci", worker: "w" });
  const isMeant = (kind: JobEventKind, filter: object, onlyClient?: string): boolean =>
    isMeantEvent(event(kind), create(JobFilterSchema, filter), onlyClient);
  assert.equal(isMeant(JobEventKind.ACCEPTED, { states: [JobViewState.RUNNING] }), true);
  assert.equal(isMeant(JobEventKind.SUBMITTED, { states: [JobViewState.RUNNING] }), false);
  assert.equal(isMeant(JobEventKind.SENT, { pool: "q" }), false);
  assert.equal(isMeant(JobEventKind.SENT, { reason: "job_failed" }), false);
  assert.equal(isMeant(JobEventKind.SENT, { jobIdPrefix: "job-", client: "ci", worker: "w" }), true);
  assert.equal(isMeant(JobEventKind.SENT, {}, "somebody"), false);
});
