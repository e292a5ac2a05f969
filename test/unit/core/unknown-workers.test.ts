/** Replies of workers that nobody has heard, on a number for a clock. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeControl } from "../../../mesh/wire/control-codec.js";
import { Subjects } from "../../../mesh/wire/subjects.js";
import type { Attempt } from "../../../services/manager/jobs/job.js";
import { mayBeHeard } from "../../../services/manager/pool/sender.js";
import { UnknownWorkers, type UnknownWorkersParts } from "../../../services/manager/pool/unknown-workers.js";
import { CoreRig } from "../../support/core/core-rig.js";
import { ManualRuntime } from "../../support/core/manual-runtime.js";

class UnknownRig {
  readonly core = new CoreRig();
  readonly runtime = new ManualRuntime();
  readonly asked: string[] = [];
  readonly heard: string[] = [];
  readonly unknown: UnknownWorkers;

  constructor() {
    const { dispatcher } = this.core;
    const publish = (subject: string, payload: Uint8Array): void =>
      void this.asked.push(`${subject} ${decodeControl(payload).request.op.case}`);
    const bus = { runtime: this.runtime, publish };
    const parts = { pool: "p", bus, subjects: new Subjects(), dispatcher: () => dispatcher };
    this.unknown = new UnknownWorkers(parts as unknown as UnknownWorkersParts);
  }

  get strangers(): number {
    return this.core.totals.strangers;
  }

  /** Whether a reply to an attempt is heard at once. */
  hears(attempt: Attempt, worker: string | undefined, more: { bare?: boolean; maxWorkers?: number } = {}): boolean {
    const { dispatcher, workers } = this.core;
    const { maxWorkers = 100, ...said } = more;
    const reply = { kind: "result", ...said, ...(worker === undefined ? {} : { worker }) } as const;
    return mayBeHeard({ dispatcher: () => dispatcher, workers, maxWorkers }, attempt, reply);
  }

  keep(worker: string | undefined, bytes = 1): void {
    this.unknown.keep(worker, bytes, () => this.heard.push(worker ?? ""));
  }
}

test("unknown workers - where heartbeats come, a reply is heard at once only from who has sent one", () => {
  const rig = new UnknownRig();
  const id = rig.core.submit();
  const { attempt } = rig.core.last(id);
  const said = (worker?: string): boolean => rig.hears(attempt, worker);
  assert.deepEqual([said("a"), said()], [true, true], "in a pool without heartbeats anybody may answer");
  rig.core.heartbeat("a", 4);
  assert.deepEqual([said("a"), said("nobody"), said()], [true, false, false]);
  assert.equal(rig.hears(attempt, undefined, { bare: true }), true, "the dispatcher decides");
  rig.core.result(id, "a");
  assert.equal(said("nobody"), true, "it is too late anyway");
});

test("unknown workers - a reply is kept until a heartbeat of its worker, which is asked for once, and in its order", async () => {
  const rig = new UnknownRig();
  for (const worker of ["b", "b", "c"]) rig.keep(worker);
  assert.deepEqual(rig.asked, ["pool.p.control.b rollCall", "pool.p.control.c rollCall"]);
  rig.unknown.onHeartbeat("a");
  assert.deepEqual(rig.heard, []);
  rig.unknown.onHeartbeat("b");
  assert.deepEqual(rig.heard, ["b", "b"]);
  await rig.runtime.advance(2_900);
  rig.unknown.onHeartbeat("c");
  await rig.runtime.advance(10_000);
  assert.deepEqual([rig.heard, rig.strangers, rig.runtime.timers], [["b", "b", "c"], 0, 0]);
});

test("unknown workers - after three seconds without a heartbeat a reply is a stranger's, and so is one without a name", async () => {
  const rig = new UnknownRig();
  for (const worker of ["nobody", "nobody", undefined, "no body", "a.*"]) rig.keep(worker);
  assert.equal(rig.strangers, 3);
  await rig.runtime.advance(3_000);
  await rig.runtime.turn();
  assert.equal(rig.strangers, 5);
  rig.unknown.onHeartbeat("nobody");
  assert.deepEqual(rig.heard, []);
});

test("unknown workers - a thousand replies are kept, and 16 MiB of them", () => {
  const rig = new UnknownRig();
  for (let n = 0; n < 1_000; n += 1) rig.keep(`w${n}`);
  rig.keep("one-more");
  assert.equal(rig.strangers, 1);
  rig.unknown.onHeartbeat("w7");
  rig.keep("w7");
  assert.equal(rig.strangers, 1, "what is heard leaves its place");
  rig.unknown.stop();
  rig.keep("large", 16 * 2 ** 20);
  rig.keep("small", 1);
  assert.equal(rig.strangers, 2);
});

test("unknown workers - a manager that knows as many workers as it may hears the others, too", () => {
  const rig = new UnknownRig();
  rig.core.heartbeat("a", 4);
  const { attempt } = rig.core.last(rig.core.submit());
  assert.deepEqual([rig.hears(attempt, "b"), rig.hears(attempt, "b", { maxWorkers: 1 })], [false, true]);
  assert.equal(rig.hears(attempt, undefined, { maxWorkers: 1 }), false);
});
