import assert from "node:assert/strict";
import { test } from "node:test";
import type { Priority } from "../../../mesh/wire/headers.js";
import { type Parkable, ParkedQueue } from "../../../services/manager/jobs/parked-queue.js";
import { seededRandom } from "../../support/random.js";

interface Job extends Parkable {
  readonly name: string;
}

function job(name: string, more: Partial<Job> = {}): Job {
  return { name, payloadBytes: 1, priority: "normal", client: "", submittedAtMs: 0, place: undefined, ...more };
}

function drain(queue: ParkedQueue<Job>): string[] {
  const names: string[] = [];
  for (let next = queue.take(); next !== undefined; next = queue.take()) names.push(next.name);
  return names;
}

const NO_LIMITS = { jobs: 1_000, bytes: 1_000_000, clientShare: 1 };

test("parked queue - one client's jobs are served in the order in which they came", () => {
  const queue = new ParkedQueue<Job>(NO_LIMITS);
  for (const name of ["a", "b", "c"]) queue.park(job(name));
  assert.deepEqual(drain(queue), ["a", "b", "c"]);
  assert.equal(queue.size, 0);
  assert.equal(queue.bytes, 0);
});

test("parked queue - clients take turns within a priority", () => {
  const queue = new ParkedQueue<Job>(NO_LIMITS);
  for (const name of ["a1", "a2", "a3"]) queue.park(job(name, { client: "a" }));
  for (const name of ["b1", "b2"]) queue.park(job(name, { client: "b" }));
  queue.park(job("c1", { client: "c" }));
  assert.deepEqual(drain(queue), ["a1", "b1", "c1", "a2", "b2", "a3"]);
});

test("parked queue - high goes before normal before low", () => {
  const queue = new ParkedQueue<Job>(NO_LIMITS);
  queue.park(job("low", { priority: "low" }));
  queue.park(job("normal"));
  queue.park(job("high", { priority: "high" }));
  assert.deepEqual(drain(queue), ["high", "normal", "low"]);
});

test("parked queue - a job that has waited ten seconds longer goes before the next priority, so nobody starves", () => {
  const queue = new ParkedQueue<Job>(NO_LIMITS);
  queue.park(job("old low", { priority: "low", submittedAtMs: 0 }));
  queue.park(job("normal", { submittedAtMs: 10_001 }));
  queue.park(job("high", { priority: "high", submittedAtMs: 19_999 }));
  assert.deepEqual(drain(queue), ["high", "old low", "normal"]);
});

test("parked queue - a job that its worker refused goes next", () => {
  const queue = new ParkedQueue<Job>(NO_LIMITS);
  for (const name of ["a", "b"]) queue.park(job(name));
  const refused = queue.take() as Job;
  queue.putBack(refused);
  assert.deepEqual(drain(queue), ["a", "b"]);
});

test("parked queue - the bounds are jobs, bytes and a client's share", () => {
  const queue = new ParkedQueue<Job>({ jobs: 4, bytes: 10, clientShare: 0.5 });
  const greedy = { client: "greedy", payloadBytes: 2 };
  queue.park(job("1", greedy));
  queue.park(job("2", greedy));
  assert.equal(queue.refusal(job("3", greedy)), "share");
  assert.equal(queue.refusal(job("big", { payloadBytes: 7 })), "bytes");
  assert.equal(queue.refusal(job("other")), undefined);
  queue.park(job("3"));
  queue.park(job("4", { client: "d" }));
  assert.equal(queue.refusal(job("5")), "jobs");
});

test("parked queue - a client may always hold one job, however small its share", () => {
  const queue = new ParkedQueue<Job>({ jobs: 4, bytes: 1_000, clientShare: 0.01 });
  assert.equal(queue.refusal(job("1", { client: "small" })), undefined);
});

test("parked queue - any mix of operations keeps count of jobs and bytes, and loses none", () => {
  const random = seededRandom(7);
  const queue = new ParkedQueue<Job>(NO_LIMITS);
  const inside = new Set<Job>();
  const priorities: Priority[] = ["high", "normal", "low"];
  for (let i = 0; i < 5_000; i += 1) {
    const dice = random();
    if (dice < 0.5) {
      const fresh = job(String(i), {
        priority: priorities[Math.floor(random() * 3)] as Priority,
        client: String(Math.floor(random() * 5)),
        payloadBytes: Math.floor(random() * 9),
        submittedAtMs: i,
      });
      if (random() < 0.2) queue.putBack(fresh);
      else queue.park(fresh);
      inside.add(fresh);
    } else if (dice < 0.8) {
      const taken = queue.take();
      assert.equal(taken !== undefined, inside.size > 0);
      if (taken !== undefined) assert.ok(inside.delete(taken));
    } else {
      const victim = [...inside][Math.floor(random() * inside.size)];
      if (victim !== undefined) {
        assert.ok(queue.remove(victim));
        assert.ok(!queue.remove(victim));
        inside.delete(victim);
      }
    }
    assert.equal(queue.size, inside.size);
    assert.equal(
      queue.bytes,
      [...inside].reduce((sum, each) => sum + each.payloadBytes, 0),
    );
  }
  const oldest = Math.min(...[...inside].map((each) => each.submittedAtMs));
  assert.equal(drain(queue).length, inside.size);
  assert.ok(Number.isFinite(oldest));
});

test("parked queue - the oldest wait is that of the job that was submitted first", () => {
  const queue = new ParkedQueue<Job>(NO_LIMITS);
  assert.equal(queue.oldestSubmittedAtMs(), undefined);
  queue.park(job("b", { submittedAtMs: 20, priority: "high" }));
  queue.park(job("a", { submittedAtMs: 10, priority: "low", client: "x" }));
  assert.equal(queue.oldestSubmittedAtMs(), 10);
});
