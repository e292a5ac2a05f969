/** Before a job that may run once is sent again: which silence of its workers tells something. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { ControlResponseSchema } from "../../../gen/poolmesh/v1/control_pb.js";
import { encodeReplyHeaders } from "../../../mesh/wire/headers.js";
import { Subjects } from "../../../mesh/wire/subjects.js";
import type { Reply } from "../../../mesh/wire/wire-headers.js";
import { Losses, type LossesParts } from "../../../services/manager/pool/losses.js";
import { CoreRig } from "../../support/core/core-rig.js";
import { ManualRuntime } from "../../support/core/manual-runtime.js";

interface Asked {
  readonly worker: string;
  readonly onReply: (msg: Reply) => void;
  /** Ends the question. @param isThere whether somebody listened */
  readonly end: (isThere: boolean) => void;
}

/** The questions of one pool on a number for a clock; the test answers them. */
class InquiryRig extends CoreRig {
  readonly runtime = new ManualRuntime();
  readonly losses: Losses;
  /** Whether the broker confirms what was sent. */
  confirms = true;
  #asked: Asked[] = [];

  /** @param listensForMs how long this manager has listened, in milliseconds */
  constructor(workers: readonly string[], listensForMs = 10_000) {
    super();
    for (const worker of workers) this.heartbeat(worker, 4);
    const inbox = {
      askAll: ({ subject }: { subject: string }, onReply: Asked["onReply"]) =>
        new Promise<boolean>((end) => this.#asked.push({ worker: subject.split(".")[3] ?? "", onReply, end })),
    };
    const bus = { runtime: this.runtime, connected: true, flush: async () => this.confirms, publish: () => true };
    const { workers: known, dispatcher, timeouts } = this;
    const parts = { pool: "p", bus, inbox, subjects: new Subjects(), workers: known, dispatcher, timeouts };
    this.losses = new Losses({ ...parts, onLost: () => {} } as unknown as LossesParts);
    timeouts.listens(this.runtime.now());
    this.runtime.stall(listensForMs);
  }

  /** Nobody has accepted a job in time. */
  async inquire(id: string): Promise<void> {
    this.#asked = [];
    this.losses.inquire([this.last(id).attempt]);
    await this.runtime.turn();
  }

  async says(worker: string, what: "unknown" | "absent" | "silent", id = ""): Promise<void> {
    for (const { onReply, end } of this.#asked.filter((asked) => asked.worker === worker)) {
      if (what !== "unknown") end(what === "silent");
      else onReply(this.#answer(worker, id));
    }
    await this.runtime.turn();
  }

  /** The time for answers is over. */
  async endQuestions(): Promise<void> {
    for (const { end } of this.#asked) end(true);
    await this.runtime.turn();
  }

  #answer(worker: string, id: string): Reply {
    const said = create(ControlResponseSchema, { worker: { worker }, unknownJobIds: [id] });
    return {
      headers: encodeReplyHeaders({ kind: "result", worker }),
      data: toBinary(ControlResponseSchema, said),
    } as unknown as Reply;
  }
}

test("inquiry - a worker's silence counts when the broker has confirmed the question, and not before", async () => {
  const rig = new InquiryRig(["a"]);
  const id = rig.submit();
  rig.confirms = false;
  await rig.inquire(id);
  await rig.says("a", "silent");
  assert.deepEqual([rig.last(id).attempt.inquiry, rig.workers.answering()], ["none", ["a"]]);
  rig.confirms = true;
  await rig.inquire(id);
  await rig.says("a", "silent");
  assert.deepEqual([rig.last(id).attempt.inquiry, rig.workers.answering()], ["over", []]);
});

test("inquiry - a worker's silence counts when one more round trip has ended: its answer may be on a slow way to this manager", async () => {
  const rig = new InquiryRig(["a"]);
  const id = rig.submit();
  await rig.inquire(id);
  rig.confirms = false;
  await rig.says("a", "silent");
  await rig.endQuestions();
  assert.deepEqual([rig.last(id).attempt.inquiry, rig.workers.answering()], ["none", ["a"]]);
});

test("inquiry - silence tells nothing when the connection broke since the question: the answer may be lost with it", async () => {
  const rig = new InquiryRig(["a"]);
  const id = rig.submit();
  await rig.inquire(id);
  rig.losses.onReconnect(rig.runtime.now());
  await rig.endQuestions();
  assert.deepEqual([rig.last(id).attempt.inquiry, rig.workers.answering()], ["none", ["a"]]);
});

test("inquiry - a job is sent at once when all workers say that they do not have it", async () => {
  const rig = new InquiryRig(["a", "b"]);
  const id = rig.submit();
  await rig.inquire(id);
  await rig.says("a", "unknown", id);
  assert.equal(rig.last(id).attempt.number, 1);
  await rig.says("b", "unknown", id);
  assert.equal(rig.last(id).attempt.number, 2);
});

test("inquiry - a manager that has just begun to listen, or is back, may not know all workers: nobody's word is that of all", async () => {
  const rig = new InquiryRig(["a"], 2_499);
  const id = rig.submit();
  await rig.inquire(id);
  await rig.says("a", "unknown", id);
  await rig.endQuestions();
  assert.deepEqual([rig.last(id).attempt.number, rig.last(id).attempt.inquiry], [1, "over"]);
  rig.runtime.stall(1);
  rig.losses.onReconnect(rig.runtime.now());
  rig.runtime.stall(2_499);
  await rig.inquire(id);
  await rig.says("a", "unknown", id);
  assert.equal(rig.last(id).attempt.number, 1);
  rig.runtime.stall(1);
  await rig.inquire(id);
  await rig.says("a", "unknown", id);
  assert.equal(rig.last(id).attempt.number, 2);
});

test("inquiry - a job waits for a worker that reconnects, and is sent at once when that one is lost", async () => {
  const rig = new InquiryRig(["a", "b"]);
  const id = rig.submit();
  await rig.inquire(id);
  await rig.says("b", "absent");
  await rig.says("a", "unknown", id);
  assert.equal(rig.last(id).attempt.number, 1);
  rig.workers.remove("b");
  rig.losses.onLeft("b", "is gone");
  assert.equal(rig.last(id).attempt.number, 2);
});

test("inquiry - a stored job that may run once ends when a worker that could have it is lost, and is not sent again", async () => {
  const rig = new InquiryRig(["a", "b"]);
  const id = rig.submit({ runTimeoutMs: 30_000, idempotent: false });
  await rig.inquire(id);
  await rig.says("a", "unknown", id);
  rig.workers.remove("b");
  rig.losses.onLeft("b", "is gone");
  assert.equal(rig.outcome(id), "worker_lost");
  assert.equal(rig.sender.sent.filter(({ attempt }) => attempt.job.id === id).length, 1);
});

test("inquiry - a worker's answer tells nothing of an attempt that left after the question", async () => {
  const rig = new InquiryRig(["a"]);
  const id = rig.submit();
  await rig.inquire(id);
  rig.busy(id, "a", 1);
  rig.accepted(id, "a", 0);
  await rig.says("a", "unknown", id);
  assert.equal(rig.outcome(id), undefined);
  rig.result(id, "a", 1);
  assert.equal(rig.outcome(id), "ok");
});

test("inquiry - a worker that answers nothing is waited for when it may have begun before that was known", async () => {
  const rig = new InquiryRig(["a", "b"]);
  rig.nowMs = 5;
  const before = rig.submit();
  rig.nowMs = 15;
  const after = rig.submit();
  // More time to be answered does not move the instant at which it left.
  rig.timeouts.restartUnanswered(20);
  rig.workers.didNotAnswer("a", 10);
  for (const id of [before, after]) {
    await rig.inquire(id);
    await rig.says("b", "unknown", id);
  }
  assert.deepEqual([rig.last(before).attempt.number, rig.last(after).attempt.number], [1, 2]);
});

test("inquiry - when its worker is lost, a job waits until what was on the way has come: a successor may have it", async () => {
  const rig = new InquiryRig(["a"]);
  const id = rig.submit();
  rig.confirms = false;
  await rig.inquire(id);
  rig.workers.remove("a");
  rig.losses.onLeft("a", "left");
  assert.equal(rig.last(id).attempt.number, 1);
  rig.accepted(id, "a", 0);
  rig.confirms = true;
  await rig.inquire(id);
  assert.equal(rig.last(id).attempt.number, 1, "the successor has it");
});

test("inquiry - with no worker that could answer, a job is sent again when the broker has delivered the question", async () => {
  const rig = new InquiryRig([]);
  rig.heartbeat("a", 1);
  const id = rig.submit();
  rig.workers.remove("a");
  await rig.inquire(id);
  assert.equal(rig.dispatcher.live(id)?.attempts, 1);
});

test("inquiry - a job that was sent to a worker which answered nothing before waits for that worker's word", async () => {
  const rig = new InquiryRig(["a", "b"]);
  rig.workers.didNotAnswer("a", rig.nowMs - 1);
  const id = ["first", "second"].map((name) => rig.submit({ id: name })).find((each) => rig.last(each).worker === "a");
  assert.ok(id !== undefined, "one of them went to the silent worker");
  await rig.inquire(id);
  await rig.says("b", "unknown", id);
  assert.equal(rig.last(id).attempt.number, 1);
  await rig.says("a", "unknown", id);
  assert.equal(rig.last(id).attempt.number, 2);
});
