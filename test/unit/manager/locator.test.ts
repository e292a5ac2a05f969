/** Which worker has a job already: one question for many jobs, on a number for a clock. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { ControlResponseSchema } from "../../../gen/poolmesh/v1/control_pb.js";
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { InboxEntry } from "../../../mesh/link/inbox.js";
import { decodeControl } from "../../../mesh/wire/control-codec.js";
import { encodeReplyHeaders } from "../../../mesh/wire/headers.js";
import { Subjects } from "../../../mesh/wire/subjects.js";
import { Workers } from "../../../services/manager/jobs/workers.js";
import { Locator, type LocatorParts } from "../../../services/manager/pool/locator.js";
import { ManualRuntime } from "../../support/core/manual-runtime.js";

const NONCE = "durable-1-5";
/** From then on a manager has heard all workers. */
const SETTLED_MS = 2_000;

class LocatorRig {
  readonly runtime = new ManualRuntime();
  readonly workers = new Workers();
  /** The ids of each question. */
  readonly asked: string[][] = [];
  readonly found: string[] = [];
  readonly locator: Locator;
  readonly #entries = new Map<string, InboxEntry>();

  constructor(workers: readonly string[]) {
    for (const worker of workers) this.#beat(worker);
    const inbox = {
      open: (entry: InboxEntry): string => {
        this.#entries.set("t", entry);
        return "t";
      },
      subject: (token: string) => token,
      close: (token: string) => void this.#entries.delete(token),
    };
    const bus = {
      runtime: this.runtime,
      publish: (_: string, payload: Uint8Array): void => {
        const { op } = decodeControl(payload).request;
        assert.equal(op.case, "locate");
        this.asked.push([...(op.value as { jobIds: string[] }).jobIds]);
      },
    };
    const parts = { pool: "p", bus, inbox, subjects: new Subjects(), workers: this.workers };
    this.locator = new Locator(parts as unknown as LocatorParts);
  }

  /** Asks for jobs; what is found is recorded. */
  async locate(...ids: string[]): Promise<void> {
    for (const id of ids) {
      void this.locator.locate(id, NONCE).then((worker) => this.found.push(`${id} ${worker ?? "nowhere"}`));
    }
    await this.runtime.turn();
  }

  /** A worker's answer: it has these of the jobs. */
  async answer(worker: string, ...knownJobIds: string[]): Promise<void> {
    const headers = encodeReplyHeaders({ kind: "result", worker });
    const data = toBinary(ControlResponseSchema, create(ControlResponseSchema, { knownJobIds }));
    this.#entries.get("t")?.onReply({ headers, data, subject: "" } as never);
    await this.runtime.turn();
  }

  #beat(worker: string): void {
    const isolation = 0;
    const beat = { worker, incarnation: 1n, seq: 1n, state: WorkerState.READY, slots: 1, busy: 1, isolation };
    this.workers.heartbeat({ ...beat, heartbeatIntervalMs: 1_000, protocolVersion: 2 }, 0);
  }
}

test("locator - all jobs of a turn are one question, and each is told who has it as soon as that one answers", async () => {
  const rig = new LocatorRig(["a", "b"]);
  await rig.runtime.advance(SETTLED_MS);
  await rig.locate("j1", "j2", "j3");
  await rig.answer("a", "j1");
  assert.deepEqual([rig.asked, rig.found], [[["j1", "j2", "j3"]], ["j1 a"]]);
  await rig.answer("b", "j3");
  assert.deepEqual(rig.found.sort(), ["j1 a", "j2 nowhere", "j3 b"]);
});

test("locator - questions do not follow each other at once, however many jobs come", async () => {
  const rig = new LocatorRig(["a"]);
  await rig.runtime.advance(SETTLED_MS);
  await rig.locate("j1");
  await rig.locate("j2");
  await rig.answer("a");
  await rig.locate("j3");
  assert.equal(rig.asked.length, 1);
  await rig.runtime.advance(50);
  assert.deepEqual(rig.asked, [["j1"], ["j2", "j3"]]);
});

test("locator - a worker that answers nothing is waited for half a second, once", async () => {
  const rig = new LocatorRig(["a", "silent"]);
  await rig.runtime.advance(SETTLED_MS);
  await rig.locate("j1");
  await rig.answer("a");
  await rig.runtime.advance(499);
  assert.deepEqual(rig.found, []);
  await rig.runtime.advance(1);
  assert.deepEqual(rig.found, ["j1 nowhere"]);
  await rig.runtime.advance(50);
  await rig.locate("j2");
  await rig.answer("a");
  assert.deepEqual(rig.found, ["j1 nowhere", "j2 nowhere"]);
});

test("locator - a manager that has just started waits for workers that it does not know yet", async () => {
  const rig = new LocatorRig(["a"]);
  await rig.locate("j1");
  await rig.answer("a");
  assert.deepEqual(rig.found, []);
  await rig.answer("unknown", "j1");
  assert.deepEqual(rig.found, ["j1 unknown"]);
});

test("locator - a pool without workers that answer is not asked, and when it stops nobody waits any more", async () => {
  const rig = new LocatorRig([]);
  await rig.runtime.advance(SETTLED_MS);
  await rig.locate("j1");
  assert.deepEqual([rig.asked, rig.found], [[], ["j1 nowhere"]]);
  const stopped = new LocatorRig(["a"]);
  await stopped.locate("j1");
  await stopped.locate("j2");
  stopped.locator.stop();
  await stopped.runtime.turn();
  assert.deepEqual([stopped.found, stopped.runtime.timers], [["j1 nowhere", "j2 nowhere"], 0]);
});

test("locator - an id that is asked for under two nonces is asked for in two questions", async () => {
  const rig = new LocatorRig(["a"]);
  await rig.runtime.advance(SETTLED_MS);
  await rig.locate("j1", "j1");
  await rig.answer("a", "j1");
  await rig.runtime.advance(50);
  await rig.answer("a");
  assert.deepEqual(
    [rig.asked, rig.found],
    [
      [["j1"], ["j1"]],
      ["j1 a", "j1 nowhere"],
    ],
  );
});
