/** One limit at one manager: when its record is written, and what of it is given back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Limit } from "../../../mesh/durable/limits/limit.js";
import type { StreamPublisher } from "../../../mesh/durable/publisher.js";
import type { LaneStore } from "../../../mesh/durable/store.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { BrokerClock } from "../../../services/manager/durable/limits/broker-clock.js";
import { Gate } from "../../../services/manager/durable/limits/gate.js";
import {
  decodeRecord,
  EMPTY_RECORD,
  encodeRecord,
  type Leave,
} from "../../../services/manager/durable/limits/record.js";
import { ManualRuntime } from "../../support/core/manual-runtime.js";

const one: Limit = { target: "each-key", running: 1 };

/** A stream with one record, and the gate of manager "me". */
function startGate(running: readonly Leave[]) {
  const runtime = new ManualRuntime();
  const whileWriting: (() => void)[] = [];
  let stored = { payload: encodeRecord({ ...EMPTY_RECORD, running }), sequence: 1 };
  const store = {
    last: async () => ({ ...stored, storedAtMs: undefined }),
    delete: async () => {
      stored = { payload: encodeRecord(EMPTY_RECORD), sequence: stored.sequence + 1 };
      return true;
    },
  };
  const publisher = {
    publish: async ({ payload }: { readonly payload: Uint8Array }) => {
      stored = { payload, sequence: stored.sequence + 1 };
      whileWriting.shift()?.();
      return { kind: "stored", sequence: stored.sequence };
    },
  };
  const gate = new Gate(
    {
      manager: "me",
      bus: { runtime, connected: true } as unknown as Bus,
      clock: new BrokerClock(runtime),
      store: store as unknown as LaneStore,
      publisher: publisher as unknown as StreamPublisher,
      stream: "limits",
      subject: "limit",
      jobsStream: "jobs",
    },
    one,
  );
  // It reads the record before its first write, as after a reconnect.
  gate.forget();
  /** What the stream has, after all that is due. */
  const leaves = async (): Promise<readonly Leave[]> => {
    gate.tick(runtime.now());
    for (let i = 0; i < 10; i += 1) await runtime.turn();
    return decodeRecord(stored.payload).running;
  };
  return { gate, leaves, whileWriting };
}

test("gate - a job that comes again with a lower count gives its leave back all the same", async () => {
  const { gate, leaves } = startGate([]);
  gate.wait(7, 2, () => {});
  assert.deepEqual(await leaves(), [[7, 2]]);
  gate.end(7, 1);
  assert.deepEqual(await leaves(), []);
});

test("gate - a delivery that takes a leave over keeps it until it ends, whatever the one before says", async () => {
  const { gate, leaves } = startGate([[7, 2]]);
  gate.wait(7, 3, () => {});
  assert.deepEqual(await leaves(), [[7, 3, "me"]]);
  gate.end(7, 3);
  assert.deepEqual(await leaves(), []);
});

test("gate - a job that is let go while its leave is taken over keeps it: it may run at another manager", async () => {
  const { gate, leaves, whileWriting } = startGate([[7, 1]]);
  gate.wait(7, 1, () => assert.fail("it has left"));
  whileWriting.push(() => gate.leave(7));
  assert.deepEqual(await leaves(), [[7, 1, "me"]]);
  assert.deepEqual(await leaves(), [[7, 1, "me"]]);
});
