/** Control requests in their three forms, heartbeats from figures, the environment of a command. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, fromBinary } from "@bufbuild/protobuf";
import { ControlResponseSchema } from "../../../gen/poolmesh/v1/control_pb.js";
import { HeartbeatSchema, Isolation, WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { CONTROL_BYTES_LIMIT, decodeControl, encodeControl } from "../../../mesh/wire/control-codec.js";
import { encodeControl as encodeRequest } from "../../../mesh/wire/control-messages.js";
import { jobEnvironment } from "../../../services/worker/handlers/job-environment.js";
import { buildHeartbeat } from "../../../services/worker/heartbeat.js";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("control codec", () => {
  test("words, JSON and protobuf say the same", () => {
    const forms = [
      bytes("resize 4"),
      bytes(" resize  4\n".trim()),
      bytes('{"resize":{"slots":4}}'),
      encodeRequest("resize", { slots: 4 }),
    ];
    for (const form of forms) {
      const { op } = decodeControl(form).request;
      assert.ok(op.case === "resize" && op.value.slots === 4);
    }
  });

  test("every operation's protobuf is told from words and JSON by its first byte", () => {
    const all = [
      encodeRequest("drain", { wait: true }),
      encodeRequest("pause", {}),
      encodeRequest("resume", {}),
      encodeRequest("probe", {}),
      encodeRequest("rollCall", {}),
      encodeRequest("pace", { coalesceMs: 100 }),
      encodeRequest("owed", { jobIds: ["a"] }),
    ];
    const cases = all.map((each) => decodeControl(each));
    assert.deepEqual(
      cases.map(({ request, form }) => [request.op.case, form]),
      ["drain", "pause", "resume", "probe", "rollCall", "pace", "owed"].map((each) => [each, "binary"]),
    );
  });

  test("the answer has the form of the question", () => {
    const response = create(ControlResponseSchema, { knownJobIds: ["a"] });
    assert.deepEqual(JSON.parse(Buffer.from(encodeControl(response, "json")).toString()), { knownJobIds: ["a"] });
    assert.deepEqual(fromBinary(ControlResponseSchema, encodeControl(response, "binary")).knownJobIds, ["a"]);
  });

  test("nonsense is invalid_argument and is not repeated raw", () => {
    const bad = ["", "dance", "drain now", "resize", "resize x", "resize 999999", "{", '{"dance":{}}', "\u0007"];
    for (const each of bad) {
      assert.throws(
        () => decodeControl(bytes(each)),
        (error: Error & { reason?: string }) => error.reason === "invalid_argument" && !error.message.includes("dance"),
        JSON.stringify(each),
      );
    }
    assert.throws(() => decodeControl(new Uint8Array(CONTROL_BYTES_LIMIT + 1)), { reason: "invalid_argument" });
  });
});

test("a heartbeat carries every figure and says when it leaves running jobs out", () => {
  const beat = buildHeartbeat(
    {
      pool: "p",
      worker: "w",
      incarnation: 5n,
      isolation: Isolation.THREAD,
      host: "h",
      pid: 7,
      version: "1.2.3",
      labels: { zone: "a" },
      heartbeatIntervalMs: 1_000,
      startedAtMs: 1_500,
    },
    {
      state: WorkerState.READY,
      slots: 4,
      busy: 3,
      stuck: 1,
      doneTotal: 10,
      failedTotal: 2,
      acceptedTotal: 15,
      refusedTotal: 6,
      running: 3,
      runningIds: ["a", "b"],
      runningNonces: ["", "n"],
      loopLagMs: 1.5,
      missing: ["publish _INBOX.m.x.>"],
    },
    9n,
    1_700,
  );
  const { startedAt, $typeName, ...plain } = beat;
  assert.equal($typeName, HeartbeatSchema.typeName);
  assert.deepEqual([startedAt?.seconds, startedAt?.nanos], [1n, 500_000_000]);
  assert.deepEqual(plain, {
    pool: "p",
    worker: "w",
    incarnation: 5n,
    seq: 9n,
    state: WorkerState.READY,
    slots: 4,
    busy: 3,
    jobsDone: 10n,
    jobsFailed: 2n,
    acceptedTotal: 15n,
    refusedTotal: 6n,
    runningJobs: ["a", "b"],
    runningNonces: ["", "n"],
    runningTruncated: true,
    protocolVersion: 2,
    sentAtMs: 1_700n,
    loopLagMs: 1.5,
    missingPermissions: ["publish _INBOX.m.x.>"],
    isolation: Isolation.THREAD,
    host: "h",
    pid: 7,
    version: "1.2.3",
    labels: { zone: "a" },
    heartbeatIntervalMs: 1_000,
    stuck: 1,
    takesBundles: true,
    answersLaterAttempts: true,
  });
});

test("a command's environment has the job's data and none of the worker's secrets", () => {
  const call = {
    id: "j",
    pool: "p",
    worker: "w",
    attempt: 2,
    attemptNumber: 1_502,
    lane: "durable" as const,
    maxAttempts: 5,
    bytes: new Uint8Array(),
    traceparent: "00-a",
    tracestate: undefined,
    deadlineAtMs: 1_500,
    signal: new AbortController().signal,
    progress: () => {},
    end: () => {},
  };
  const env = {
    PATH: "/bin",
    POOLMESH_PASSWORD: "s3cret",
    POOLMESH_TOKEN: "s3cret",
    POOLMESH_CONTROL_TOKEN: "s3cret",
    NATS_URL: "nats://me:s3cret@host:4222",
    POOLMESH_SERVERS: "nats://a:1,nats://s3cret@b:2",
    POOLMESH_POOL: "p",
  };
  assert.deepEqual(jobEnvironment(call, env, 1_000, 50_000), {
    PATH: "/bin",
    POOLMESH_POOL: "p",
    JOB_ID: "j",
    JOB_ATTEMPT: "2",
    JOB_ATTEMPT_NUMBER: "1502",
    JOB_LANE: "durable",
    JOB_MAX_ATTEMPTS: "5",
    JOB_POOL: "p",
    JOB_WORKER: "w",
    JOB_DEADLINE_MS: "50500",
    TRACEPARENT: "00-a",
  });
});
