/** A stored job that a worker has from a manager that is gone, event by event. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { INQUIRY_ROUND_MS } from "../../../services/manager/jobs/timeouts.js";
import { CoreRig } from "../../support/core/core-rig.js";

const STORED = { runTimeoutMs: 30_000, idempotent: true, nonce: "durable-1-5", attemptsBefore: 1_000 };

function route(rig: CoreRig): string[] {
  return rig.sender.sent.map(({ attempt, worker }) => {
    return `${attempt.joins ? "join" : "run"} ${attempt.job.id} → ${worker ?? "any"} #${attempt.number}`;
  });
}

/** A pool with a full worker and one that has a free slot. */
function rigged(): CoreRig {
  const rig = new CoreRig();
  rig.heartbeat("full", 1, 1);
  rig.heartbeat("free", 1);
  return rig;
}

test("join - a job that a full worker has goes to that worker, before it is offered to anybody, and takes no slot", () => {
  const rig = rigged();
  const id = rig.submit({ ...STORED, joinAt: "full" });
  assert.deepEqual([route(rig), rig.workers.free], [["join j1 → full #1001"], 1]);
  const other = rig.submit();
  assert.deepEqual(route(rig).at(-1), `run ${other} → any #1`);
  rig.accepted(id, "full", 0);
  rig.result(id, "full", 1);
  assert.equal(rig.outcome(id), "ok");
  assert.equal(rig.workers.get("full")?.free, 1, "the slot of the joined job is free");
});

test("join - a job that may run again runs elsewhere when its worker does not have it any more, or is gone", () => {
  for (const lose of [
    (rig: CoreRig, id: string) => rig.busy(id, "full"),
    (rig: CoreRig, id: string) => rig.dispatcher.notDelivered([rig.last(id).attempt]),
    (rig: CoreRig) => rig.dispatcher.workerLost("full", "is gone"),
  ]) {
    const rig = rigged();
    const id = rig.submit({ ...STORED, joinAt: "full" });
    lose(rig, id);
    assert.equal(rig.last(id).worker, "free");
    assert.equal(rig.last(id).attempt.joins, false);
  }
});

test("join - a job that may run once only is joined or ends as worker_lost, and is never sent to another worker", () => {
  const once = { ...STORED, idempotent: false };
  for (const lose of [
    (rig: CoreRig, id: string) => rig.busy(id, "full"),
    (rig: CoreRig, id: string) => rig.dispatcher.notDelivered([rig.last(id).attempt]),
    (rig: CoreRig) => rig.advance(1_000),
    (rig: CoreRig, id: string) => rig.dispatcher.retries.neverArrived(rig.last(id).attempt),
    (rig: CoreRig, id: string) => {
      rig.accepted(id, "full");
      rig.dispatcher.workerLost("full", "is gone");
    },
  ]) {
    const rig = rigged();
    const id = rig.submit({ ...once, joinAt: "full" });
    lose(rig, id);
    if (rig.outcome(id) === undefined) rig.advance(INQUIRY_ROUND_MS);
    assert.equal(rig.outcome(id), "worker_lost");
    assert.equal(rig.failure(id).maybeExecuted, true);
    assert.deepEqual(route(rig), ["join j1 → full #1001"]);
  }
  const rig = rigged();
  assert.throws(() => rig.submit({ ...once, joinAt: "unknown" }), { reason: "worker_lost" });
  assert.deepEqual(route(rig), []);
});

test("join - a worker that this manager does not know is not waited for: a job that may run again is offered", () => {
  const rig = rigged();
  rig.submit({ ...STORED, joinAt: "unknown" });
  assert.deepEqual(route(rig), ["run j1 → any #1001"]);
});
