/** What a heartbeat of a worker means for the jobs that it has. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { HeartbeatSchema, WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { Losses } from "../../../services/manager/pool/losses.js";
import type { UnknownWorkers } from "../../../services/manager/pool/unknown-workers.js";
import { WorkerList } from "../../../services/manager/pool/worker-list.js";
import { CoreRig } from "../../support/core/core-rig.js";

test("restarts - a job that the next process of a worker has taken before its first heartbeat came is not lost, what the earlier one had is", () => {
  for (const idempotent of [true, false]) {
    const rig = new CoreRig();
    const losses = { onJoined: () => {}, onRunningList: () => {} } as unknown as Losses;
    const unknown = { onHeartbeat: () => {} } as unknown as UnknownWorkers;
    const list = new WorkerList({
      ...{ pool: "p", workers: rig.workers, dispatcher: rig.dispatcher, losses, hooks: {}, unknown },
    });
    const beat = (incarnation: bigint, running: readonly string[]): void =>
      list.onHeartbeat(
        create(HeartbeatSchema, {
          ...{ worker: "a", pool: "p", incarnation, seq: 1n, state: WorkerState.READY, slots: 4 },
          ...{ busy: running.length, runningJobs: [...running], runningNonces: running.map(() => "") },
        }),
        rig.nowMs,
      );
    beat(1n, []);
    const [before, after] = [rig.submit({ idempotent }), rig.submit({ idempotent })];
    for (const id of [before, after]) rig.accepted(id, "a", 1);
    beat(2n, [after]);
    assert.deepEqual([rig.last(after).attempt.number, rig.last(after).attempt.state], [1, "accepted"]);
    assert.equal(rig.outcome(after), undefined);
    if (idempotent) assert.equal(rig.last(before).attempt.number, 2);
    else assert.equal(rig.outcome(before), "worker_lost");
  }
});
