import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { StreamInfo } from "@nats-io/jetstream";
import { FirstDeliveries } from "../../../services/manager/durable/takeover/first-deliveries.js";

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
  return { asked, first: new FirstDeliveries({ store: { streamInfo }, stream: "pool-jobs-p" }) };
}

describe("a job that is said to come for the first time", () => {
  test("may have come before, until the stream has said what was stored before now", async () => {
    const { asked, first } = startOver();
    first.doubt(0);
    assert.equal(first.mayBeRepeat(1_000_000), true);
    await asked[0]?.answer(7);
    assert.deepEqual(
      [6, 7, 8].map((sequence) => first.mayBeRepeat(sequence)),
      [true, true, false],
    );
  });

  test("is new in a stream that is not there yet", async () => {
    const { asked, first } = startOver();
    first.doubt(0);
    await asked[0]?.answer(undefined);
    assert.equal(first.mayBeRepeat(1), false);
  });

  test("is in doubt again after a reconnect; an answer to an earlier question does not end the doubt", async () => {
    const { asked, first } = startOver();
    first.doubt(0);
    first.doubt(10);
    await asked[0]?.answer(7);
    assert.equal(first.mayBeRepeat(8), true);
    await asked[1]?.answer(9);
    assert.deepEqual(
      [9, 10].map((sequence) => first.mayBeRepeat(sequence)),
      [true, false],
    );
  });

  test("stays in doubt when the stream does not answer, and the stream is asked again", async () => {
    const { asked, first } = startOver();
    first.doubt(0);
    await asked[0]?.fail();
    assert.equal(first.mayBeRepeat(1), true);
    first.tick(100);
    assert.equal(asked.length, 1);
    first.tick(600);
    await asked[1]?.answer(3);
    first.tick(5_000);
    assert.deepEqual([asked.length, first.mayBeRepeat(3), first.mayBeRepeat(4)], [2, true, false]);
  });
});
