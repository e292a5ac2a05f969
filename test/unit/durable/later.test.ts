/** Jobs for later: what their times mean, what a broker must have, how many may wait, and what a killed broker has left. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isTooOld, NEEDS } from "../../../mesh/durable/broker-needs.js";
import { durableDefaults, encodeDurableJob } from "../../../mesh/durable/job.js";
import {
  checkRunTime,
  decodeRunTime,
  encodeRunTime,
  instantOf,
  storedInstant,
} from "../../../mesh/durable/later/run-time.js";
import { DurableNames } from "../../../mesh/durable/names.js";
import type { LaneStore, Stored } from "../../../mesh/durable/store.js";
import { PoolError } from "../../../mesh/errors.js";
import { silentLog } from "../../../mesh/process/log.js";
import { wireHeaders } from "../../../mesh/wire/wire-headers.js";
import { LaterQuota, MAX_LATER_BYTES, MAX_LATER_JOBS } from "../../../services/manager/durable/later/later-quota.js";
import { DueLeftovers } from "../../../services/manager/durable/leftovers/due-leftovers.js";
import { failure } from "../../support/failure.js";

const NOW = Date.UTC(2026, 10, 28, 12);
const names = new DurableNames();

test("later - a time is a Date, milliseconds, or a text with its zone, and travels as it was said", () => {
  const christmas = Date.UTC(2026, 11, 24, 18);
  for (const said of [new Date(christmas), christmas, "2026-12-24T18:00:00Z", "2026-12-24T19:00:00+01:00"]) {
    assert.deepEqual(checkRunTime(said, undefined, NOW), { at: christmas });
  }
  assert.deepEqual(checkRunTime(undefined, 1.2, NOW), { delayMs: 2 });
  assert.equal(checkRunTime(undefined, undefined, NOW), undefined);
  for (const time of [{ at: christmas }, { delayMs: 0 }, { delayMs: 7 }]) {
    const headers = wireHeaders();
    encodeRunTime(headers, time);
    assert.deepEqual(decodeRunTime(headers, NOW), time);
  }
});

test("later - a delay counts from the clock of whoever stores the job", () => {
  assert.equal(instantOf({ delayMs: 500 }, NOW), NOW + 500);
  assert.equal(instantOf({ at: NOW - 5 }, NOW), NOW - 5);
});

test("later - a stored message without a time, or with a wrong one, has none", () => {
  assert.equal(storedInstant(undefined), undefined);
  const headers = wireHeaders();
  headers.append("Pool-Run-At", "-5");
  assert.equal(storedInstant(headers), undefined);
});

test("later - a broker is too old by its version, and one of an unknown version is asked", () => {
  const verdicts = [
    "2.9.10",
    "2.11.9",
    "v2.11.0",
    "1.99.0",
    "2.12.0",
    "2.12.0-RC.1",
    "2.15.2",
    "3.0.0",
    "main",
    undefined,
  ];
  const old = verdicts.map((version) => isTooOld(version, NEEDS.schedules));
  assert.deepEqual(old, [true, true, true, true, false, false, false, false, false, false]);
});

test("later - the quota counts what is there and what was stored since, and is counted anew each second", async () => {
  let nowMs = 0;
  let state = { messages: MAX_LATER_JOBS - 2, bytes: 0 };
  let asked = 0;
  const store = {
    streamInfo: async () => {
      asked += 1;
      return { state };
    },
  } as unknown as LaneStore;
  const quota = new LaterQuota({ pool: "p", names, store, runtime: { now: () => nowMs } });
  await Promise.all([quota.take(1), quota.take(1)]);
  const full = await failure(quota.take(1));
  assert.deepEqual([full.reason, full.retryAfterMs, asked], ["pool_full", 5_000, 1]);
  nowMs = 1_000;
  state = { messages: 5, bytes: MAX_LATER_BYTES - 10 };
  await quota.take(10);
  assert.equal((await failure(quota.take(1))).reason, "pool_full", "bytes count, too");
  assert.equal(asked, 2);
});

test("later - what a killed broker has kept is moved once more and deleted; what was never acknowledged is left alone", async () => {
  const message = (sequence: number, keepOutcome: boolean): Stored => {
    const headers = encodeDurableJob({ ...durableDefaults(), keepOutcome });
    const subject = names.due("p", `j${sequence}`);
    return { sequence, subject, headers: headers as never, payload: new Uint8Array(), storedAtMs: 0 };
  };
  const stored = [message(3, true), message(5, false), message(6, true), message(9, true)];
  const store = {
    consumerInfo: async () => ({ ack_floor: { stream_seq: 7 }, delivered: { stream_seq: 8 } }),
    streamInfo: async () => ({ state: { last_seq: 9 } }),
    nextDecisive: async (_stream: string, _subject: string, from: number) =>
      stored.find(({ sequence }) => sequence >= from),
    delete: async (_stream: string, sequence: number) => {
      const at = stored.findIndex((each) => each.sequence === sequence);
      stored.splice(at, 1);
      return true;
    },
  } as unknown as LaneStore;
  const moved: number[] = [];
  const move = async ({ sequence }: Stored): Promise<boolean> => {
    moved.push(sequence);
    return sequence !== 6;
  };
  await new DueLeftovers({ pool: "p", names, store, move, log: silentLog }, 0).sweep();
  assert.deepEqual(
    [moved, stored.map(({ sequence }) => sequence)],
    [
      [3, 6],
      [6, 9],
    ],
  );
});

test("later - a refused time names its field", () => {
  const refused = (work: () => unknown): unknown => {
    try {
      return work();
    } catch (thrown) {
      return thrown instanceof PoolError ? thrown.field : thrown;
    }
  };
  assert.equal(
    refused(() => checkRunTime("2026-12-24T18:00:00", undefined, NOW)),
    "runAt",
  );
  assert.equal(
    refused(() => checkRunTime(undefined, Number.POSITIVE_INFINITY, NOW)),
    "delayMs",
  );
  const headers = wireHeaders();
  headers.append("Pool-Delay-Ms", "1e3");
  assert.equal(
    refused(() => decodeRunTime(headers, NOW)),
    "Pool-Delay-Ms",
  );
});
