/** What a manager makes of time: round trips, its own stalls, answers that are not confirmed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { headers, type MsgHdrs } from "nats";
import { Isolation, WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { systemRuntime } from "../../../mesh/link/runtime.js";
import { readErrorHeaders } from "../../../mesh/wire/error-headers.js";
import { decodeReplyHeaders, encodeJobHeaders, encodeReplyHeaders, HEADER } from "../../../mesh/wire/headers.js";
import { HeldSubmissions, LONG_STALL_MS } from "../../../services/manager/held-submissions.js";
import { Workers } from "../../../services/manager/jobs/workers.js";
import { OutcomeReplies } from "../../../services/manager/outcome-replies.js";
import { eventually, gate } from "../../support/wait.js";

function workersOf(...ids: string[]): Workers {
  const workers = new Workers();
  const beat = { incarnation: 1n, seq: 1n, state: WorkerState.READY, slots: 1, busy: 0 };
  for (const worker of ids)
    workers.heartbeat({ ...beat, worker, heartbeatIntervalMs: 1_000, isolation: Isolation.INLINE }, 0);
  return workers;
}

const EMPTY = new Uint8Array(0);

/** A bus whose round trips end when the test says so. */
function fakeBus() {
  let round = gate<boolean>();
  let onReconnect = (): void => {};
  const published: string[] = [];
  const said: MsgHdrs[] = [];
  let flushes = 0;
  const bus = {
    runtime: systemRuntime,
    connected: true,
    maxPayloadBytes: 2_000,
    flush: () => {
      flushes += 1;
      return round.promise;
    },
    publish: (subject: string, _payload: Uint8Array, options: { headers: MsgHdrs }) => {
      said.push(options.headers);
      return published.push(subject) > 0;
    },
    on: (_: string, listener: () => void) => {
      onReconnect = listener;
      return () => {};
    },
  };
  return {
    bus: bus as unknown as Bus,
    setMaxPayloadBytes: (bytes: number) => {
      bus.maxPayloadBytes = bytes;
    },
    published,
    said,
    flushes: () => flushes,
    confirm: (ok: boolean) => {
      round.open(ok);
      round = gate<boolean>();
    },
    reconnect: () => onReconnect(),
  };
}

test("workers - the slowest worker's round trip counts at once and is forgotten over the next quick answers", () => {
  const workers = workersOf("near", "far");
  assert.equal(workers.slowestMs(), undefined);
  workers.measured("near", 1);
  workers.measured("far", 400);
  assert.equal(workers.slowestMs(), 400);
  for (let i = 0; i < 100; i += 1) workers.measured("near", 1);
  assert.equal(workers.slowestMs(), 400, "quick answers of another change nothing");
  for (let i = 0; i < 40; i += 1) workers.measured("far", 1);
  assert.ok((workers.slowestMs() ?? 0) < 10);
  workers.remove("far");
  assert.equal(workers.slowestMs(), 1);
});

test("workers - a manager does not count its own stalls as a worker's silence", () => {
  const workers = workersOf("w");
  workers.excuseStall(10_000, 10_500);
  assert.deepEqual(workers.silent(10_500), []);
  assert.deepEqual(workers.silent(13_100), ["w"], "and what was silent before still counts");
});

test("held submissions - are taken at once, and after a long stall only when a round trip has ended", async () => {
  const { bus, confirm } = fakeBus();
  const held = new HeldSubmissions(bus, 0);
  const taken: string[] = [];
  const submit = (job: string, attempt = 1) =>
    held.submit(encodeJobHeaders({ jobId: job, attempt }), () => taken.push(`${job} ${attempt}`));
  held.sign(1_000);
  submit("a");
  assert.deepEqual(taken, ["a 1"]);
  held.sign(1_000 + LONG_STALL_MS + 1);
  submit("b");
  submit("c");
  held.revoke("b", "", 1_000);
  submit("b", 1_001);
  assert.deepEqual(taken, ["a 1"]);
  confirm(true);
  await eventually(() => taken.length === 3);
  assert.deepEqual(taken, ["a 1", "c 1", "b 1001"], "what was revoked meanwhile is not taken");
  submit("d");
  assert.equal(taken.at(-1), "d 1");
});

test("answers - what no round trip has confirmed is sent again after a reconnect, the rest is not", async (t) => {
  const { bus, published, flushes, confirm, reconnect } = fakeBus();
  const answers = new OutcomeReplies(bus, "m1");
  t.after(() => answers.stop());
  answers.send("first", EMPTY, headers());
  await eventually(() => flushes() === 1);
  confirm(true);
  await new Promise((resolve) => setImmediate(resolve));
  answers.send("second", EMPTY, headers());
  reconnect();
  assert.deepEqual(published, ["first", "second", "second"]);
});

test("answers - a result that the broker does not take any more is answered as payload_too_large", (t) => {
  const { bus, said, reconnect, setMaxPayloadBytes } = fakeBus();
  const answers = new OutcomeReplies(bus, "m1");
  t.after(() => answers.stop());
  const result = encodeReplyHeaders({ kind: "result", jobId: "j1", attempt: 1, worker: "w1" });
  result.append(HEADER.manager, "m1");
  answers.send("reply", new Uint8Array(1_000), result);
  setMaxPayloadBytes(1_000);
  reconnect();
  const [first, second] = said;
  assert.ok(first !== undefined && second !== undefined && said.length === 2);
  assert.equal(decodeReplyHeaders(first).kind, "result");
  const { kind, jobId } = decodeReplyHeaders(second);
  assert.deepEqual({ kind, jobId, manager: second.get(HEADER.manager) }, { kind: "error", jobId: "j1", manager: "m1" });
  const { reason, maybeExecuted, field } = readErrorHeaders(second);
  assert.deepEqual(
    { reason, maybeExecuted, field },
    { reason: "payload_too_large", maybeExecuted: true, field: "result" },
  );
});
