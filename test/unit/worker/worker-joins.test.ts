/** A job of the durable lane that comes again because its manager is gone: what its worker makes of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PoolError } from "../../../mesh/errors.js";
import type { Call, HandlerOutcome } from "../../../services/worker/handlers/runner.js";
import { Intake, Revoked } from "../../../services/worker/jobs/intake.js";
import {
  KEPT_OUTCOMES,
  KEPT_OUTCOMES_BYTES,
  KEPT_OUTCOMES_MS,
  KeptOutcomes,
} from "../../../services/worker/jobs/kept-outcomes.js";
import { Results } from "../../../services/worker/jobs/results.js";
import { AcceptPolicy, type JobOrder, type RunningJob } from "../../../services/worker/jobs/running-job.js";
import { RunningJobs, Slots } from "../../../services/worker/jobs/running-jobs.js";

const ok = (text: string): HandlerOutcome => ({ ok: true, payload: Buffer.from(text) });
const job = (id: string, nonce = "durable-1-5") => ({ id, nonce });
const text = (outcome: HandlerOutcome | undefined): string | undefined =>
  outcome === undefined || !outcome.ok ? outcome?.error.reason : Buffer.from(outcome.payload).toString();

/** The jobs of one worker, with two slots. What is answered is a line: reply subject, kind, value. */
class WorkerRig {
  readonly said: string[] = [];
  readonly runs: Call[] = [];
  readonly slots = new Slots(2);
  readonly kept = new KeptOutcomes();
  readonly revoked = new Revoked();
  unheard = 0;
  readonly jobs: RunningJobs;
  readonly #results = new Results();
  readonly #intake: Intake;

  constructor() {
    const results = this.#results;
    this.jobs = new RunningJobs({
      pool: "p",
      worker: "w",
      slots: this.slots,
      runner: { run: (call) => void this.runs.push(call), blocking: false },
      acceptPolicy: new AcceptPolicy(),
      kept: this.kept,
      now: () => 0,
      acceptAfterMs: 25,
      abortGraceMs: 100,
      sendable: (outcome) => outcome,
      flush: () => {},
      maxBytes: () => 1_000,
      confirm: () => {},
      onProgressDropped: () => {},
      onFailed: () => {},
      onStarted: () => {},
      onOutcome: () => {},
      onChange: () => {},
    });
    this.#intake = new Intake({
      slots: this.slots,
      jobs: this.jobs,
      results,
      kept: this.kept,
      revoked: this.revoked,
      refusals: {
        busy: ({ reply }, free) => void this.said.push(`${reply} busy ${free}`),
        error: ({ reply }, error) => void this.said.push(`${reply} ${error.reason}`),
      },
      submitSubject: "pool.p.submit",
      onUnheard: () => {
        this.unheard += 1;
      },
      isReady: () => true,
      inputIsStale: () => false,
    });
  }

  /** A hand-off by the manager that waits at `reply`. */
  handOff(reply: string, attempt: number, more: Partial<JobOrder> = {}): void {
    const order: JobOrder = {
      ...job("j"),
      attempt,
      reply,
      named: true,
      offered: true,
      durable: true,
      maxAttempts: undefined,
      idempotent: false,
      joins: false,
      bytes: new Uint8Array(),
      deadlineAtMs: 1_000,
      ageMs: 0,
      measured: true,
      startWithinMs: undefined,
      traceparent: undefined,
      tracestate: undefined,
      answerer: {
        accepted: (to) => void this.said.push(`${to.reply} accepted`),
        progress: (to, payload) => void this.said.push(`${to.reply} progress ${Buffer.from(payload)}`),
        end: (to, outcome) => {
          this.said.push(`${to.reply} ${text(outcome)}`);
          this.#results.keep(to, outcome, 0);
        },
      },
      ...more,
    };
    this.#intake.decide(order, 0);
  }

  /** What has been answered since the last call. */
  heard(): string[] {
    return this.said.splice(0);
  }

  get onlyRun(): Call {
    assert.equal(this.runs.length, 1, "it ran once");
    return this.runs[0] as Call;
  }
}

test("durable - a later hand-off of a job that runs here is joined: it hears accepted, progress and the result, takes no slot, and nothing runs twice", () => {
  const rig = new WorkerRig();
  rig.handOff("dead", 1);
  rig.handOff("survivor", 1_001, { joins: true });
  assert.deepEqual([rig.heard(), rig.slots.busy], [["survivor accepted"], 1]);
  rig.onlyRun.progress(Buffer.from("half"));
  rig.onlyRun.end(ok("42"));
  assert.deepEqual(rig.heard(), ["dead progress half", "survivor progress half", "dead 42", "survivor 42"]);
  assert.equal(rig.slots.busy, 0);
});

test("durable - a later hand-off of a job that has ended here hears its kept result, and the job does not run again", () => {
  const rig = new WorkerRig();
  rig.handOff("dead", 1);
  rig.onlyRun.end(ok("42"));
  rig.heard();
  rig.handOff("survivor", 1_001, { joins: true });
  rig.handOff("another", 2_001);
  assert.deepEqual(rig.heard(), ["survivor 42", "another 42"]);
  assert.equal(rig.runs.length, 1);
});

test("durable - a job that failed here runs again, and one that was rejected does not", () => {
  const rig = new WorkerRig();
  rig.handOff("a", 1);
  rig.onlyRun.end({ ok: false, error: new PoolError("job_failed", "boom") });
  rig.handOff("b", 1_001);
  assert.equal(rig.runs.length, 2);
  rig.runs[1]?.end({ ok: false, error: new PoolError("job_rejected", "never") });
  rig.handOff("c", 2_001);
  assert.deepEqual([rig.runs.length, rig.heard()], [2, ["a job_failed", "b job_rejected", "c job_rejected"]]);
});

test("durable - what is not here is not started by a hand-off that only joins: it is answered with busy and the free slots", () => {
  const rig = new WorkerRig();
  rig.handOff("survivor", 1_001, { joins: true });
  assert.deepEqual([rig.heard(), rig.runs.length], [["survivor busy 2"], 0]);
});

test("durable - an id that is used anew never joins", () => {
  const rig = new WorkerRig();
  rig.handOff("old", 1);
  rig.handOff("anew", 1_001, { nonce: "durable-2-6" });
  assert.equal(rig.runs.length, 2);
  rig.runs[0]?.end(ok("1"));
  rig.runs[1]?.end(ok("2"));
  rig.handOff("third", 1_001, { nonce: "durable-1-6" });
  assert.equal(rig.runs.length, 3);
});

for (const idempotent of [false, true]) {
  const what = idempotent ? "an idempotent job" : "a job that may run once only";
  const core = { durable: false, idempotent };

  test(`later attempts - ${what} that has ended here is not run again: the next attempt hears its result, or its failure`, () => {
    for (const outcome of [ok("42"), { ok: false, error: new PoolError("job_failed", "boom") }] as const) {
      const rig = new WorkerRig();
      rig.handOff("first", 1, core);
      rig.onlyRun.end(outcome);
      rig.revoked.add({ ...job("j"), upToAttempt: 1 }, 0);
      rig.heard();
      rig.handOff("second", 2, core);
      rig.handOff("another manager", 1_001, core);
      assert.deepEqual(rig.heard(), [`second ${text(outcome)}`, `another manager ${text(outcome)}`]);
      assert.deepEqual([rig.runs.length, rig.slots.busy], [1, 0]);
    }
  });

  test(`later attempts - ${what} that runs here, since its revocation was lost, is joined`, () => {
    const rig = new WorkerRig();
    rig.handOff("first", 1, core);
    rig.handOff("second", 2, core);
    assert.deepEqual([rig.heard(), rig.slots.busy], [["second accepted"], 1]);
    rig.onlyRun.end(ok("42"));
    assert.deepEqual(rig.heard(), ["first 42", "second 42"]);
  });

  test(`later attempts - ${what} that runs here as an attempt of a later manager is no earlier one`, () => {
    const rig = new WorkerRig();
    rig.handOff("m3.1.1", 2_001, core);
    rig.handOff("m2.1.1", 1_005, core);
    assert.equal(rig.runs.length, 2);
  });

  test(`later attempts - ${what} of another submission is run, and so is a first attempt`, () => {
    const rig = new WorkerRig();
    rig.handOff("first", 1, core);
    rig.handOff("anew", 2, { ...core, nonce: "another" });
    assert.equal(rig.runs.length, 2);
  });
}

for (const [what, durable] of [
  ["a job", false],
  ["a stored job", true],
] as const) {
  test(`later attempts - ${what} that runs here does not run again, however many attempts ask for it: the last one of each manager hears its result`, () => {
    const rig = new WorkerRig();
    rig.handOff("m1.1.1", 1, { durable });
    for (let attempt = 2; attempt <= 1_000; attempt += 1) rig.handOff(`m1.1.${attempt}`, attempt, { durable });
    rig.handOff("m2.1.1", 1_001, { durable });
    assert.ok(rig.heard().every((line) => line.endsWith(" accepted")));
    assert.equal(rig.slots.busy, 1);
    rig.onlyRun.end(ok("42"));
    assert.deepEqual(rig.heard(), ["m1.1.1 42", "m1.1.1000 42", "m2.1.1 42"]);
  });

  test(`later attempts - ${what} for which 64 other managers wait does not run again for one more: that one is refused`, () => {
    const rig = new WorkerRig();
    for (let m = 0; m <= 64; m += 1) rig.handOff(`m${m}.1.1`, 1_000 * m + 1, { durable });
    assert.ok(rig.heard().every((line) => line.endsWith(" accepted")));
    rig.handOff("more.1.1", 65_001, { durable });
    assert.deepEqual(rig.heard(), ["more.1.1 duplicate_job"]);
    rig.handOff("m7.1.2", 7_002, { durable });
    assert.deepEqual(rig.heard(), ["m7.1.2 accepted"], "who waits may ask again");
    assert.deepEqual([rig.runs.length, rig.slots.busy], [1, 1]);
  });
}

test("later attempts - what waits for a running job keeps no payload", () => {
  const rig = new WorkerRig();
  rig.handOff("1", 1, { durable: false, bytes: new Uint8Array(1_000) });
  for (let attempt = 2; attempt <= 20; attempt += 1)
    rig.handOff(String(attempt), attempt, { durable: false, bytes: new Uint8Array(1_000) });
  const { others } = rig.jobs.find({ ...job("j"), attempt: 1 }) as RunningJob;
  assert.deepEqual([others.length, others.reduce((sum, { bytes }) => sum + bytes.length, 0)], [19, 0]);
});

test("later attempts - a job that has ended here as an early attempt answers the hundredth one", () => {
  const rig = new WorkerRig();
  rig.handOff("first", 1, { durable: false });
  rig.onlyRun.end(ok("42"));
  rig.heard();
  rig.handOff("hundredth", 100, { durable: false });
  assert.deepEqual([rig.heard(), rig.runs.length], [["hundredth 42"], 1]);
});

test("later attempts - a job that was ended by force here may have run: it ends as worker_lost if it may run once only, else it runs", () => {
  const canceled = new PoolError("canceled", "revoked", { maybeExecuted: true });
  for (const hasEnded of [false, true]) {
    const rig = new WorkerRig();
    rig.handOff("first", 1, { durable: false });
    rig.jobs.cancel({ ...job("j"), upToAttempt: 1 }, canceled);
    if (hasEnded) rig.onlyRun.end(ok("too late"));
    rig.heard();
    rig.handOff("once", 2, { durable: false });
    assert.deepEqual([rig.heard(), rig.runs.length], [["once worker_lost"], 1]);
    rig.handOff("again", 3, { durable: false, idempotent: true });
    assert.equal(rig.runs.length, 1 + 1);
  }
});

test("durable - a manager that was only cut off revokes its own attempt, and not the one that joined it; a cancel ends both", () => {
  const rig = new WorkerRig();
  rig.handOff("cut off", 1);
  rig.handOff("survivor", 1_001, { joins: true });
  rig.heard();
  const canceled = new PoolError("canceled", "no more");
  assert.equal(rig.jobs.cancel({ ...job("j"), upToAttempt: 1_000 }, canceled), false);
  assert.deepEqual(rig.heard(), []);
  assert.equal(rig.jobs.cancel({ ...job("j"), upToAttempt: 2_000 }, canceled), true);
  assert.deepEqual(rig.heard(), ["cut off canceled", "survivor canceled"]);
  rig.handOff("third", 2_001, { joins: true });
  assert.deepEqual(rig.heard(), ["third busy 1"], "what was ended by force is nobody's result");
});

test("durable - a worker keeps outcomes for 60 s, 10,000 and 64 MiB of them, and the oldest goes first", () => {
  const kept = new KeptOutcomes();
  kept.keep(job("a"), ok("1"), 0);
  assert.equal(text(kept.find("a", "durable-1-5", KEPT_OUTCOMES_MS)), "1");
  assert.equal(kept.find("a", "durable-1-5", KEPT_OUTCOMES_MS + 1), undefined);
  for (let i = 0; i <= KEPT_OUTCOMES; i += 1) kept.keep(job(`n${i}`), ok(String(i)), 0);
  assert.equal(kept.size, KEPT_OUTCOMES);
  assert.equal(kept.find("n0", "durable-1-5", 0), undefined);
  assert.equal(text(kept.find("n1", "durable-1-5", 0)), "1");
  assert.equal(text(kept.find(`n${KEPT_OUTCOMES}`, "durable-1-5", 0)), String(KEPT_OUTCOMES));
  const half: HandlerOutcome = { ok: true, payload: new Uint8Array(KEPT_OUTCOMES_BYTES / 2 + 1) };
  kept.keep(job("large1"), half, 0);
  kept.keep(job("large2"), half, 0);
  assert.ok(kept.bytes <= KEPT_OUTCOMES_BYTES);
  assert.deepEqual([kept.find("large1", "durable-1-5", 0), kept.size], [undefined, 1]);
});

test("leases - an offer whose age nothing tells is refused, and the next one of its sender is started", () => {
  const rig = new WorkerRig();
  const offer = { durable: false, startWithinMs: 238 };
  rig.handOff("first", 1, { ...offer, measured: false });
  assert.deepEqual([rig.heard(), rig.runs.length], [["first busy 2"], 0]);
  rig.handOff("next", 1, offer);
  assert.equal(rig.runs.length, 1);
});

test("leases - the first job of a sender that sets no lease is started", () => {
  const rig = new WorkerRig();
  rig.handOff("first", 1, { durable: false, measured: false });
  assert.equal(rig.runs.length, 1);
});

test("revoked offers - one whose manager can make no other attempt is answered canceled, others and stored jobs are not; each is told by a heartbeat", () => {
  const rig = new WorkerRig();
  const offer = { ...job("j", ""), durable: false };
  rig.revoked.add({ id: "j", nonce: "", upToAttempt: 1 }, 0);
  rig.handOff("retried", 1, offer);
  assert.deepEqual([rig.heard(), rig.unheard], [[], 1]);
  rig.revoked.add({ id: "j", nonce: "", upToAttempt: 1_000 }, 0);
  rig.handOff("elsewhere", 2, offer);
  rig.handOff("stored", 2, { ...offer, durable: true });
  assert.deepEqual([rig.heard(), rig.unheard, rig.runs.length], [["elsewhere canceled"], 3, 0]);
});

test("revoked offers - a cancel of a whole id that a manager takes back does not concern the id that is used anew", () => {
  const rig = new WorkerRig();
  const offer = { ...job("j"), durable: false };
  rig.revoked.add({ id: "j", nonce: "", upToAttempt: Number.POSITIVE_INFINITY }, 0);
  rig.handOff("canceled", 1, offer);
  rig.revoked.takeBack("j", 0);
  rig.handOff("anew", 1, offer);
  assert.deepEqual([rig.heard(), rig.unheard, rig.runs.length], [[], 1, 1]);
});

test("revoked offers - a cancel of a whole id that is said again after it was taken back does not concern the id that is used anew; a new cancel does", () => {
  const rig = new WorkerRig();
  const all = { id: "j", nonce: "", upToAttempt: Number.POSITIVE_INFINITY };
  rig.revoked.takeBack("j", 100);
  rig.revoked.add({ ...all, beforeMs: 99 }, 300);
  assert.equal(rig.revoked.has("j", "anew", 1, 300), false);
  rig.revoked.add({ ...all, beforeMs: 200 }, 300);
  assert.equal(rig.revoked.has("j", "anew", 1, 300), true);
});

test("plain jobs - an id that is used again with another payload is another job; with the same one its result comes again, and it does not run", () => {
  const rig = new WorkerRig();
  const plain = { ...job("j", ""), durable: false, offered: false };
  rig.handOff("a", 1, { ...plain, print: 41 });
  rig.runs[0]?.end(ok("42"));
  rig.handOff("b", 1, { ...plain, print: 41 });
  assert.deepEqual([rig.heard(), rig.runs.length], [["a 42", "b 42"], 1]);
  rig.handOff("c", 1, { ...plain, print: 1 });
  rig.handOff("d", 1, { ...plain, print: 41 });
  assert.deepEqual([rig.heard(), rig.runs.length], [["d duplicate_job"], 2], "an id is of one job at a time");
  rig.runs[1]?.end(ok("2"));
  assert.deepEqual(rig.heard(), ["c 2"]);
});
