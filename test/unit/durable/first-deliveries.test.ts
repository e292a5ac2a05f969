import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { StreamInfo } from "@nats-io/jetstream";
import { PoolError } from "../../../mesh/errors.js";
import {
  type Arrived,
  FirstDeliveries,
  MOST_FORGOTTEN,
} from "../../../services/manager/durable/takeover/first-deliveries.js";

function arrived(sequence: number, more: Partial<Arrived> = {}): Arrived {
  return { sequence, deliveries: 1, level: "normal", job: { idempotent: true }, ...more };
}

const once = { job: { idempotent: false } };

/** A stream that is asked, and answers when told to. */
function startOver() {
  const asked: { answer(last: number | undefined): Promise<void>; fail(): Promise<void> }[] = [];
  const streamInfo = (): Promise<StreamInfo | undefined> =>
    new Promise((resolve, reject) => {
      const settled = (work: () => void) => async (): Promise<void> => {
        work();
        await new Promise((done) => setImmediate(done));
      };
      const info = (last: number | undefined) => (last === undefined ? undefined : { state: { last_seq: last } });
      asked.push({
        answer: (last) => settled(() => resolve(info(last) as StreamInfo | undefined))(),
        fail: settled(() => reject(new Error("timeout"))),
      });
    });
  return { asked, first: new FirstDeliveries({ store: { streamInfo }, stream: "pool-jobs-p" }, 0) };
}

describe("a job that is said to come for the first time", () => {
  test("may have come before, until the stream has said what was stored before now", async () => {
    const { asked, first } = startOver();
    assert.equal(first.mayBeRepeat(arrived(1_000_000)), true);
    await asked[0]?.answer(7);
    assert.deepEqual(
      [6, 7, 8].map((sequence) => first.mayBeRepeat(arrived(sequence))),
      [true, true, false],
    );
  });

  test("is in doubt while its stream is not there: it may be restored from a backup", async () => {
    const { asked, first } = startOver();
    await asked[0]?.answer(undefined);
    assert.equal(first.mayBeRepeat(arrived(1)), true);
    first.tick(500);
    await asked[1]?.answer(60);
    assert.deepEqual([first.mayBeRepeat(arrived(60)), first.mayBeRepeat(arrived(61))], [true, false]);
  });

  test("is in doubt again after a reconnect; an answer to an earlier question does not end the doubt", async () => {
    const { asked, first } = startOver();
    first.doubt(10);
    await asked[0]?.answer(7);
    assert.equal(first.mayBeRepeat(arrived(8)), true);
    await asked[1]?.answer(9);
    assert.deepEqual(
      [9, 10].map((sequence) => first.mayBeRepeat(arrived(sequence))),
      [true, false],
    );
  });

  test("stays in doubt when the stream does not answer, and the stream is asked again", async () => {
    const { asked, first } = startOver();
    await asked[0]?.fail();
    assert.equal(first.mayBeRepeat(arrived(1)), true);
    first.tick(100);
    assert.equal(asked.length, 1);
    first.tick(600);
    await asked[1]?.answer(3);
    first.tick(5_000);
    assert.deepEqual([asked.length, first.mayBeRepeat(arrived(3)), first.mayBeRepeat(arrived(4))], [2, true, false]);
  });

  test("is in doubt among the first of its level only, however many were stored before, when it may run twice", async () => {
    const { asked, first } = startOver();
    await asked[0]?.answer(1_000_000);
    for (let sequence = 1; sequence < MOST_FORGOTTEN; sequence += 1) first.mayBeRepeat(arrived(sequence));
    assert.deepEqual(
      [10_000, 10_001, 10_002].map((sequence) => first.mayBeRepeat(arrived(sequence))),
      [true, false, false],
    );
    assert.equal(first.mayBeRepeat(arrived(10_003, { level: "low" })), true, "the first of another level");
  });

  test("is in doubt whatever came before it when it may run once", async () => {
    const { asked, first } = startOver();
    await asked[0]?.answer(1_000_000);
    for (let sequence = 1; sequence <= 2 * MOST_FORGOTTEN; sequence += 1) first.mayBeRepeat(arrived(sequence));
    assert.deepEqual(
      [999_999, 1_000_000, 1_000_001].map((sequence) => first.mayBeRepeat(arrived(sequence, once))),
      [true, true, false],
    );
  });

  test("is not made new by jobs that come again, and is in doubt anew after a reconnect", async () => {
    const { asked, first } = startOver();
    await asked[0]?.answer(1_000_000);
    for (let i = 0; i < 2 * MOST_FORGOTTEN; i += 1) {
      assert.equal(first.mayBeRepeat(arrived(7, { deliveries: 2 })), true);
    }
    assert.equal(first.mayBeRepeat(arrived(8)), true);
    const wrong = { job: new PoolError("invalid_argument", "headers") };
    for (let i = 0; i < MOST_FORGOTTEN; i += 1) first.mayBeRepeat(arrived(9, wrong));
    assert.equal(first.mayBeRepeat(arrived(10)), false);
    first.doubt(10);
    await asked[1]?.answer(1_000_000);
    assert.equal(first.mayBeRepeat(arrived(11)), true);
  });
});
