import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PoolError } from "../../../mesh/errors.js";
import type { Logger } from "../../../mesh/process/log.js";
import { silentLog } from "../../../mesh/process/log.js";
import { START_LIMIT_MS, untilProvisioned } from "../../../services/manager/durable/provision.js";

const NO_ANSWER = new PoolError("bus_unavailable", "the broker's store: timeout");
const NO_SPACE = new PoolError("bus_unavailable", "pool-outcomes could not be created: insufficient storage");
const OFF = new PoolError("bus_unavailable", "JetStream is off at this broker, or not for this account");

/** Tries against a store that fails in this way until a time; what came of it, when, and what was told. */
async function start(waits: boolean, failure: PoolError, untilMs: number, stopAtMs = Number.POSITIVE_INFINITY) {
  let nowMs = 0;
  const told: string[] = [];
  const warn = (about: { reason: string }, message: string): number => told.push(`${message}: ${about.reason}`);
  const runtime = {
    now: () => nowMs,
    after: (ms: number, work: () => void) => {
      nowMs += ms;
      queueMicrotask(work);
      return {};
    },
  };
  const log = { ...silentLog, warn } as unknown as Logger;
  const end = await untilProvisioned({ runtime, log, waits, isOver: () => nowMs >= stopAtMs }, async () => {
    if (nowMs < untilMs) throw failure;
  }).then(
    () => "there",
    (error: PoolError) => error.message,
  );
  return { end, nowMs, told };
}

describe("a durable manager that starts", () => {
  test("waits for a store that does not answer, however long, and says so once", async () => {
    const { end, nowMs, told } = await start(true, NO_ANSWER, 3_600_000);
    assert.deepEqual([end, nowMs], ["there", 3_600_000]);
    assert.deepEqual(told, ["waiting for the broker's store: the broker's store: timeout"]);
  });

  test("gives up when it is stopped meanwhile", async () => {
    assert.equal((await start(true, NO_ANSWER, 3_600_000, 60_000)).end, NO_ANSWER.message);
  });

  for (const [what, waits, failure] of [
    ["in a program, when its store does not answer", false, NO_ANSWER],
    ["as a service, when its store has no space", true, NO_SPACE],
  ] as const) {
    test(`fails after ${START_LIMIT_MS / 1_000} s ${what}`, async () => {
      const { end, nowMs } = await start(waits, failure, 3_600_000);
      assert.deepEqual([end, nowMs], [failure.message, START_LIMIT_MS]);
    });
  }

  test("fails at once where there is no JetStream", async () => {
    assert.deepEqual(await start(true, OFF, 3_600_000), { end: OFF.message, nowMs: 0, told: [] });
  });
});
