/** Callers that leave, come in crowds, or repeat themselves. */
import assert from "node:assert/strict";
import type { PoolError } from "../../../mesh/errors.js";
import type { Manager } from "../../../services/manager/manager.js";
import { eventually } from "../../support/wait.js";
import { machineNow } from "../history.js";
import { assertEnded } from "../rig/caller.js";
import type { Rig } from "../rig/rig.js";
import type { Scenario } from "../rig/scenario.js";
import { CANCEL_DOORS } from "./cancel-doors.js";

/** A cancel reaches the handler within 200 ms; a busy machine may add the rest. */
const SIGNAL_LIMIT_MS = 200 + 2_000;

const cancels: Scenario = {
  id: "F22",
  fault: "a caller cancels: unary abort, HTTP/2 reset, TCP close, AbortSignal",
  brokers: [1],
  run: async (rig) => {
    const [manager] = await Promise.all([rig.manager("m1"), rig.worker("w1")]);
    const times: string[] = [];
    for (const [door, open] of Object.entries(CANCEL_DOORS)) {
      const call = await open(rig, manager);
      await eventually(() => rig.history.of("start").some(({ id }) => id === call.id), { what: `${door}: the start` });
      const canceledAt = machineNow();
      call.cancel();
      const signal = await eventually(() => rig.history.of("signal").find(({ id }) => id === call.id), {
        what: `${door}: the handler's signal`,
      });
      const reason = await call.reason;
      assert.equal(reason, "canceled", door);
      const tookMs = signal.at - canceledAt;
      assert.ok(tookMs < SIGNAL_LIMIT_MS, `${door}: ${tookMs} ms`);
      times.push(`${door} ${Math.max(0, Math.round(tookMs))} ms`);
    }
    return `canceled, the slot freed each time; the signal after: ${times.join(", ")}`;
  },
};

const crowd: Scenario = {
  id: "F24",
  fault: "5,000 submissions at once into 10 slots with a bound of 100",
  brokers: [1],
  run: async (rig) => {
    await rig.worker("w1", { slots: 10 });
    const caller = await rig.embedded({ parkedLimit: 100 });
    await rig.sees(caller, 10);
    const { taken, refused, slowestMs, release } = await submitCrowd(rig, caller.submitter, 5_000);
    assert.deepEqual([taken, refused], [110, 4_890]);
    await release();
    return `110 taken, 4890 pool_full with utilization and retry-after, the slowest after ${Math.round(slowestMs)} ms`;
  },
};

const sameId: Scenario = {
  id: "F25",
  fault: "the same id 10 times at once",
  brokers: [1],
  run: async (rig) => {
    await Promise.all([rig.manager("m1"), rig.worker("w1", { slots: 10 })]);
    const clients = await Promise.all(Array.from({ length: 10 }, () => rig.client()));
    const options = { id: "the-same", timeoutMs: 20_000 };
    const order = { do: "wait", ms: 300 } as const;
    const heard = await Promise.all(clients.map((client) => client.submit(order, options)));
    assertEnded(heard, { ok: 10 });
    assert.equal(rig.history.of("start").length, 1, "one execution");
    assert.equal(new Set(heard.map(({ ran }) => JSON.stringify(ran))).size, 1, "equal outcomes");
    const late = await clients[0]?.submit(order, options);
    assert.ok(late?.ok);
    assert.equal(rig.history.of("start").length, 1, "nor does it run again afterwards");
    return "one execution, ten equal outcomes";
  },
};

interface CrowdOutcome {
  readonly taken: number;
  readonly refused: number;
  readonly slowestMs: number;
  /** Lets those that were taken run to their end. */
  readonly release: () => Promise<void>;
}

async function submitCrowd(rig: Rig, manager: Manager, size: number): Promise<CrowdOutcome> {
  const payload = JSON.stringify({ do: "wait", ms: 500 });
  const begunAt = machineNow();
  let slowestMs = 0;
  let refused = 0;
  const all = Array.from({ length: size }, (_, i) => {
    const id = `crowd-${i}`;
    return manager.submit(payload, { id, timeoutMs: 60_000 }).then(
      (result) => rig.history.add({ kind: "outcome", id, ok: true, attempt: result.attempt }),
      (error: PoolError) => {
        slowestMs = Math.max(slowestMs, machineNow() - begunAt);
        refused += 1;
        assert.equal(error.reason, "pool_full");
        assert.deepEqual([error.utilization, error.parked, (error.retryAfterMs ?? 0) > 0], [1, 100, true]);
        rig.history.add({ kind: "outcome", id, ok: false, reason: error.reason, message: error.message, attempt: 0 });
      },
    );
  });
  await new Promise((resolve) => setImmediate(resolve));
  const seen = refused;
  for (let i = 0; i < size; i += 1) {
    rig.history.add({ kind: "submit", id: `crowd-${i}`, timeoutMs: 60_000, idempotent: false }, begunAt);
  }
  return { taken: size - seen, refused: seen, slowestMs, release: async () => void (await Promise.all(all)) };
}

/** All of them. */
export const callers: readonly Scenario[] = [cancels, crowd, sameId];
