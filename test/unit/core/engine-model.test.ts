/**
 * The whole engine against a simple model: random events, checked after each.
 *
 * The model has what is true (which worker runs what, which messages are on their
 * way); the engine has only what it is told. After every event: each slot is
 * counted once, each job has at most one outcome, no assignment was made twice,
 * and no job waits beside a slot that the engine could know to be idle.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PoolError } from "../../../mesh/errors.js";
import type { Attempt } from "../../../services/manager/jobs/job.js";
import { CoreRig } from "../../support/core/core-rig.js";
import { seededRandom } from "../../support/random.js";

const EMPTY = new Uint8Array(0);

interface ModelWorker {
  readonly id: string;
  readonly slots: number;
  incarnation: bigint;
  readonly running: Set<Attempt>;
}

/** What is true, and what is on its way. */
class Model {
  readonly rig = new CoreRig({ limits: { jobs: 50 } });
  readonly workers: ModelWorker[];
  readonly random: () => number;
  /** Messages that have left and were not read. */
  #onTheWay: { readonly attempt: Attempt; readonly worker: string | undefined }[] = [];
  #seen = 0;
  submitted = 0;

  constructor(seed: number) {
    this.random = seededRandom(seed);
    this.workers = Array.from({ length: 1 + this.pick(4) }, (_, i) => ({
      id: `w${i}`,
      slots: 1 + this.pick(3),
      incarnation: 1n,
      running: new Set<Attempt>(),
    }));
    for (const worker of this.workers) this.heartbeat(worker);
  }

  pick(n: number): number {
    return Math.floor(this.random() * n);
  }

  /** One random event. */
  step(): void {
    this.rig.nowMs += this.pick(20);
    const worker = this.workers[this.pick(this.workers.length)] as ModelWorker;
    const dice = this.random();
    if (dice < 0.3) this.submit();
    else if (dice < 0.6) this.deliver();
    else if (dice < 0.85) this.finish(worker);
    else if (dice < 0.93) this.heartbeat(worker);
    else if (dice < 0.96) this.cancel();
    else if (dice < 0.98) this.restart(worker);
    else this.rig.advance(this.pick(400));
    this.#collect();
  }

  /** Everything on its way arrives, everything that runs ends, until nothing happens any more. */
  settle(): void {
    for (let round = 0; round < 10_000; round += 1) {
      this.#collect();
      if (this.#onTheWay.length > 0) this.deliver();
      else if (this.workers.some(({ running }) => running.size > 0)) for (const each of this.workers) this.finish(each);
      else if (this.rig.dispatcher.liveJobs > 0) this.pass(100);
      else break;
    }
    // A slot that a canceled job gave back is known from the next heartbeat on, and no back-off lasts for ten seconds.
    this.pass(10_000);
  }

  /** Time passes, and all workers send a heartbeat. */
  pass(ms: number): void {
    this.rig.advance(ms);
    for (const each of this.workers) this.heartbeat(each);
  }

  submit(): void {
    this.submitted += 1;
    try {
      this.rig.submit({ idempotent: this.random() < 0.5, timeoutMs: 200 + this.pick(60_000) });
    } catch (error) {
      assert.equal((error as PoolError).reason, "pool_full");
    }
  }

  /** A worker reads the oldest message that is for it. */
  deliver(): void {
    const next = this.#onTheWay.shift();
    if (next === undefined) return;
    const to = next.worker === undefined ? this.workers[this.pick(this.workers.length)] : this.find(next.worker);
    const { attempt } = next;
    // What was canceled or revoked is not run: the revocation has come by the same way.
    if (to === undefined || attempt.state === "over" || attempt.state === "revoked") return;
    const free = to.slots - to.running.size;
    if (free === 0) return this.rig.dispatcher.replied(attempt, { kind: "busy", worker: to.id, free: 0 }, EMPTY);
    to.running.add(attempt);
    if (this.random() < 0.7) this.say(attempt, "accepted", to);
  }

  finish(worker: ModelWorker): void {
    const [attempt] = worker.running;
    if (attempt === undefined) return;
    worker.running.delete(attempt);
    this.say(attempt, "result", worker);
  }

  heartbeat(worker: ModelWorker): void {
    for (const { job, state } of worker.running)
      if (state !== "over") this.rig.dispatcher.runsAt(job.id, job.spec.nonce, worker.id);
    this.rig.heartbeat(worker.id, worker.slots, worker.running.size, worker.incarnation);
  }

  cancel(): void {
    const jobs = this.rig.dispatcher.liveJobsNow();
    const job = jobs[this.pick(jobs.length)];
    if (job === undefined) return;
    this.rig.dispatcher.cancel(job, new PoolError("canceled", "no"));
    for (const { running } of this.workers) for (const each of running) if (each.job === job) running.delete(each);
  }

  /** A worker dies and starts again under its id. */
  restart(worker: ModelWorker): void {
    worker.running.clear();
    this.#onTheWay = this.#onTheWay.filter((each) => each.worker !== worker.id);
    worker.incarnation += 1n;
    this.rig.heartbeat(worker.id, worker.slots, 0, worker.incarnation);
    this.rig.dispatcher.workerLost(worker.id, "restarted");
  }

  say(attempt: Attempt, kind: "accepted" | "result", worker: ModelWorker): void {
    const free = worker.slots - worker.running.size;
    this.rig.dispatcher.replied(attempt, { kind, worker: worker.id, free, attempt: attempt.number }, EMPTY);
  }

  find(id: string): ModelWorker | undefined {
    return this.workers.find((worker) => worker.id === id);
  }

  /** Checks what must hold after every event. */
  check(): void {
    const { dispatcher, workers: registry } = this.rig;
    const { inFlight, parked } = dispatcher;
    const open = [...new Set(this.rig.sender.sent.map(({ attempt }) => attempt))].filter(({ isOpen }) => isOpen);
    const offers = open.filter(({ state }) => state === "offered").length;
    assert.equal(inFlight.offers, offers, "offers are counted from the states of their attempts");
    for (const { id, slots } of this.workers) {
      const entry = registry.get(id);
      const unanswered = open.filter(({ state, worker }) => state === "assigned" && worker === id).length;
      assert.equal(entry?.unanswered, unanswered, `unanswered assignments of ${id}`);
      assert.ok(entry.free >= 0 && entry.free <= slots, `free slots of ${id}: ${entry.free} of ${slots}`);
    }
    for (const job of dispatcher.liveJobsNow()) {
      assert.equal(job.state === "parked", job.place !== undefined, `${job.id} is parked and in the queue, or neither`);
      if (job.state === "sent") assert.equal(job.attempt?.isOpen, true, `${job.id} is sent and its attempt is open`);
    }
    for (const id of this.rig.outcomes.keys()) this.rig.outcome(id);
    assert.ok(
      parked.size === 0 || registry.free <= inFlight.offers,
      "no job waits beside a slot that is known to be idle",
    );
  }

  /** Messages that the engine has sent since the last look. */
  #collect(): void {
    const { sent } = this.rig.sender;
    for (; this.#seen < sent.length; this.#seen += 1) {
      const one = sent[this.#seen];
      if (one !== undefined) this.#onTheWay.push(one);
    }
  }
}

test("the engine - every slot is counted once, every job has one outcome, no job waits beside an idle slot, whatever happens in whatever order", () => {
  for (let seed = 1; seed <= 400; seed += 1) {
    const model = new Model(seed);
    try {
      for (let i = 0; i < 300; i += 1) {
        model.step();
        model.check();
      }
      model.settle();
      model.check();
      const ended = [...model.rig.outcomes.keys()].filter((id) => model.rig.outcome(id) !== undefined).length;
      const taken = model.rig.totals.submitted;
      assert.equal(ended, taken, "every job that was taken has its outcome at the end");
      assert.equal(model.rig.dispatcher.inFlight.offers, 0);
      for (const { id, slots } of model.workers) assert.equal(model.rig.workers.get(id)?.free, slots, `${id} is idle`);
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
});
