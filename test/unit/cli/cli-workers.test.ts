/** The table of `poolmesh workers`, whatever the workers' clocks show. */
import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { workerLines } from "../../../cli/control/workers.js";
import { Output } from "../../../cli/output/output.js";
import { type Heartbeat, HeartbeatSchema, WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { clockOffsetMs, uptimeMs } from "../../../mesh/wire/clock-offset.js";

const NOW_MS = Date.UTC(2026, 10, 1);
const DAY_MS = 86_400_000;

/** Of a worker that is up for five minutes by its own clock. */
function beatOf(offsetMs: number, more: MessageInitShape<typeof HeartbeatSchema> = {}): Heartbeat {
  const sentAtMs = NOW_MS + offsetMs;
  const startedAt = timestampFromMs(sentAtMs - 300_000);
  const who = { pool: "p", worker: "w", state: WorkerState.READY };
  return create(HeartbeatSchema, { ...who, startedAt, sentAtMs: BigInt(sentAtMs), ...more });
}

/** What stands in a column, and the lines below the table. @param offsetMs as measured when the heartbeat came */
function shown(heartbeat: Heartbeat, offsetMs = clockOffsetMs(heartbeat, NOW_MS)): [up: string, below: string[]] {
  const lines = workerLines(new Output(new PassThrough(), {}), [{ heartbeat, clockOffsetMs: offsetMs }], NOW_MS);
  const [titles = "", row = "", ...below] = lines;
  const end = titles.indexOf(" UP ") + " UP".length;
  return [row.slice(0, end).split(/ {2,}/).at(-1) ?? "", below];
}

test("workers - UP is right for a worker whose clock is ahead, behind, or right", () => {
  const [right] = shown(beatOf(0));
  assert.match(right, /^5(\.0)? min$/);
  for (const offsetMs of [DAY_MS, -DAY_MS, 10_000, -10_000, 300_001, -300_001]) {
    const [up, below] = shown(beatOf(offsetMs));
    assert.equal(up, right);
    assert.match(below.join(), offsetMs > 0 ? /^The clock of w is .* ahead\./ : /^The clock of w is .* behind\./);
  }
});

test("workers - a worker that was heard a while ago is up for as long as it was then, and its clock is not off for that", () => {
  const lost = beatOf(-3_600_000, { state: WorkerState.LOST });
  const [up, below] = shown(lost, 0);
  assert.deepEqual([up, below], [shown(beatOf(0))[0], []]);
});

test("workers - a worker that does not tell its clock is up by the reader's, and what cannot be is not said", () => {
  assert.equal(uptimeMs(beatOf(0, { sentAtMs: 0n }), NOW_MS), 300_000);
  assert.equal(uptimeMs(beatOf(DAY_MS, { sentAtMs: 0n }), NOW_MS), undefined);
  assert.equal(uptimeMs(beatOf(0, { sentAtMs: 0n })), undefined);
  assert.equal(uptimeMs(create(HeartbeatSchema, { sentAtMs: 5n }), NOW_MS), undefined);
});
