import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toBinary, toJsonString } from "@bufbuild/protobuf";
import { HeartbeatSchema, ManagerHeartbeatSchema, WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { decodeHeartbeat, decodeManagerHeartbeat, type GarbageKind } from "../../../mesh/wire/heartbeat-codec.js";
import { beatOf, managerBeatOf } from "../../support/meter/beats.js";
import { seededRandom } from "../../support/random.js";

const SUBJECT = { pool: "adder", sender: "w1", contentType: "" };
const encoder = new TextEncoder();

function fate(data: Uint8Array, raw: Partial<typeof SUBJECT> = {}): GarbageKind | "taken" {
  const decoded = decodeHeartbeat({ ...SUBJECT, ...raw, data });
  return decoded.ok ? "taken" : decoded.kind;
}

function fateOf(fields: Parameters<typeof beatOf>[0]): GarbageKind | "taken" {
  return fate(toBinary(HeartbeatSchema, beatOf(fields)));
}

function fateOfJson(text: string): GarbageKind | "taken" {
  return fate(encoder.encode(text), { contentType: "application/json" });
}

const JSON_BEAT = { pool: "adder", worker: "w1", incarnation: "1", seq: "1", state: "WORKER_STATE_READY", slots: 2 };

describe("heartbeat codec", () => {
  it("reads protobuf, and JSON with and without its content type", () => {
    const json = encoder.encode(toJsonString(HeartbeatSchema, beatOf({ busy: 3 })));
    for (const [data, contentType] of [
      [toBinary(HeartbeatSchema, beatOf({ busy: 3 })), ""],
      [json, "application/json"],
      [json, "application/json; charset=utf-8"],
      [json, ""],
    ] as const) {
      const decoded = decodeHeartbeat({ ...SUBJECT, contentType, data });
      assert.ok(decoded.ok);
      assert.equal(decoded.beat.busy, 3);
    }
  });

  it("reads fields of a newer version without keeping them", () => {
    assert.equal(fateOfJson(JSON.stringify({ ...JSON_BEAT, hatSize: 7 })), "taken");
  });

  const garbage: readonly [what: string, kind: GarbageKind, fate: () => GarbageKind | "taken"][] = [
    ["noise", "malformed", () => fate(new Uint8Array([0xff, 0xff, 0xff, 0xff]))],
    ["truncated protobuf", "malformed", () => fate(toBinary(HeartbeatSchema, beatOf({ host: "h" })).subarray(0, -3))],
    ["nothing", "identity", () => fate(new Uint8Array())],
    ["1 MB", "too_large", () => fate(new Uint8Array(1_000_000))],
    ["malformed JSON", "malformed", () => fateOfJson('{"pool":')],
    ["JSON of another type", "malformed", () => fateOfJson("[1,2]")],
    ["20,000 nested brackets", "malformed", () => fateOfJson("[".repeat(20_000))],
    ["JSON that is no UTF-8", "malformed", () => fate(new Uint8Array([0x7b, 0xff, 0x7d]))],
    ["negative slots", "malformed", () => fateOfJson(JSON.stringify({ ...JSON_BEAT, slots: -1 }))],
    ["NaN slots", "malformed", () => fateOfJson(JSON.stringify({ ...JSON_BEAT, slots: "NaN" }))],
    ["fractional slots", "malformed", () => fateOfJson(JSON.stringify({ ...JSON_BEAT, slots: 1.5 }))],
    ["NaN lag", "counts", () => fateOf({ loopLagMs: Number.NaN })],
    ["endless lag", "counts", () => fateOf({ loopLagMs: Number.POSITIVE_INFINITY })],
    ["negative lag", "counts", () => fateOf({ loopLagMs: -1 })],
    ["too many slots", "counts", () => fateOf({ slots: 65_536 })],
    ["more stuck than busy", "counts", () => fateOf({ busy: 1, stuck: 2 })],
    ["too many running jobs", "counts", () => fateOf({ runningJobs: Array.from({ length: 65 }, () => "j") })],
    ["another worker's id", "identity", () => fateOf({ worker: "w2" })],
    ["another pool's name", "identity", () => fateOf({ pool: "other" })],
    ["no incarnation", "identity", () => fateOf({ incarnation: 0n })],
    ["no number", "identity", () => fateOf({ seq: 0n })],
    ["no state", "state", () => fateOf({ state: WorkerState.UNSPECIFIED })],
    ["a state that is a reader's judgement", "state", () => fateOf({ state: WorkerState.LOST })],
    ["a state that does not exist", "state", () => fateOf({ state: 77 as WorkerState })],
    ["a long host name", "text", () => fateOf({ host: "h".repeat(256) })],
    ["a long label", "text", () => fateOf({ labels: { a: "v".repeat(64) } })],
    ["a long job id", "text", () => fateOf({ runningJobs: ["j".repeat(64)] })],
    [
      "33 labels",
      "text",
      () => fateOf({ labels: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`l${i}`, ""])) }),
    ],
    [
      "a name in the subject that is none",
      "subject",
      () => fate(toBinary(HeartbeatSchema, beatOf()), { sender: "a b" }),
    ],
  ];
  for (const [what, kind, actual] of garbage) {
    it(`drops ${what} as "${kind}"`, () => assert.equal(actual(), kind));
  }

  it("never throws, whatever the bytes", () => {
    const random = seededRandom(5);
    const valid = toBinary(HeartbeatSchema, beatOf({ host: "h", labels: { a: "b" }, runningJobs: ["j"] }));
    for (let round = 0; round < 5_000; round += 1) {
      const data = valid.slice();
      for (let i = 0; i < 3; i += 1) data[Math.floor(random() * data.length)] = Math.floor(random() * 256);
      fate(data);
      fate(data, { contentType: "application/json" });
    }
  });

  it("checks a manager's heartbeat alike", () => {
    const of = (fields: Parameters<typeof managerBeatOf>[0], sender = "m1") => {
      const data = toBinary(ManagerHeartbeatSchema, managerBeatOf(fields));
      const decoded = decodeManagerHeartbeat({ ...SUBJECT, sender, data });
      return decoded.ok ? "taken" : decoded.kind;
    };
    assert.equal(of({}), "taken");
    assert.equal(of({}, "m2"), "identity");
    assert.equal(of({ oldestWaitMs: Number.NaN }), "counts");
    assert.equal(of({ host: "h".repeat(256) }), "text");
  });

  it("drops a manager's report that is out of its bounds, and keeps the heartbeat", () => {
    const of = (fields: Parameters<typeof managerBeatOf>[0]) => {
      const data = toBinary(ManagerHeartbeatSchema, managerBeatOf(fields));
      const decoded = decodeManagerHeartbeat({ ...SUBJECT, sender: "m1", data });
      if (!decoded.ok) return decoded.kind;
      return decoded.beat.report === undefined ? "without report" : "with report";
    };
    assert.equal(of({ report: { total: Array(128).fill(1n) }, coveringStream: "AUDIT" }), "with report");
    for (const times of ["wait", "run", "total"]) {
      assert.equal(of({ report: { [times]: Array(129).fill(1n) } }), "without report");
    }
    assert.equal(of({ coveringStream: "s".repeat(256) }), "text");
  });
});
