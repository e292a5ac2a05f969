/** Which held jobs a stream has lost, and what is said of each. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ACK, giveBack } from "../../../mesh/durable/ack-subject.js";
import { durableDefaults } from "../../../mesh/durable/job.js";
import type { Stored } from "../../../mesh/durable/store.js";
import { Delivery, Held } from "../../../services/manager/durable/held.js";
import { LostJobs } from "../../../services/manager/durable/takeover/lost-jobs.js";
import { ManualRuntime } from "../../support/core/manual-runtime.js";

const STORED_AT = "1700000000000000000";

function delivery(sequence: number, storedAt = STORED_AT): Delivery {
  const facts = { stream: "s", consumer: "normal", deliveries: 1, sequence, count: 1, storedAt, pending: 0 };
  const payload = new Uint8Array(1);
  return new Delivery(`job-${sequence}`, "normal", facts, `ack.${sequence}`, undefined, payload, durableDefaults(), 0);
}

/** A manager that holds jobs 1 to `count`, whose stream has what `stream` says. */
function holds(count: number, stream: Record<number, string>) {
  const runtime = new ManualRuntime();
  const held = Array.from({ length: count }, (_, i) => delivery(i + 1));
  const said: string[] = [];
  const asked: number[] = [];
  const lostNow: string[] = [];
  const world = { answers: true, settled: 0 };
  const lost = new LostJobs({
    bus: {
      runtime,
      publish: (subject, payload) => {
        said.push(`${subject} ${Buffer.from(payload ?? []).toString()}`);
        return true;
      },
    },
    store: {
      at: async (_, sequence) => {
        asked.push(sequence);
        if (!world.answers) throw new Error("timeout");
        const storedAt = stream[sequence];
        return storedAt === undefined ? undefined : ({ storedAtMs: Number(storedAt) / 1e6 } as Stored);
      },
    },
    stream: "s",
    onLost: (all) => lostNow.push(...all.map(({ id }) => id)),
    onSettled: () => {
      world.settled += 1;
    },
  });
  return { runtime, held, said, asked, lost, lostNow, world };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("after the broker was away", () => {
  test("one question tells that the stream has all that is held, and the broker hears of each", async () => {
    const { held, said, asked, lost, lostNow, world } = holds(3, { 3: STORED_AT });
    lost.doubt(held);
    assert.deepEqual([lost.isSettled, said], [false, []], "nothing is said before");
    await turn();
    assert.deepEqual([asked, lostNow, world.settled, lost.isSettled], [[3], [], 1, true]);
    assert.deepEqual(said, ["ack.1 +WPI", "ack.2 +WPI", "ack.3 +WPI"]);
  });

  test("what the stream has lost is told, also where another job has its sequence by now, and nothing is said of it", async () => {
    const { held, said, asked, lost, lostNow } = holds(4, { 2: STORED_AT, 3: "1700000009000000000" });
    lost.doubt(held);
    await turn();
    assert.deepEqual(
      [asked, lostNow],
      [
        [4, 3, 2, 1],
        ["job-4", "job-3"],
      ],
    );
    for (const each of held) lost.say(each, ACK);
    assert.deepEqual(said, ["ack.1 +WPI", "ack.2 +WPI", "ack.1 +ACK", "ack.2 +ACK"]);
  });

  test("what ends meanwhile is acknowledged or given back once it is known to be there", async () => {
    const { held, said, lost, lostNow } = holds(3, { 2: STORED_AT });
    lost.doubt(held);
    for (const [i, word] of [ACK, giveBack(0), ACK].entries()) lost.say(held[i] as Delivery, word);
    await turn();
    assert.deepEqual([said, lostNow], [["ack.1 +ACK", "ack.2 -NAK"], ["job-3"]]);
  });

  test("a stream that does not answer is asked again, and nothing is said before it has answered", async () => {
    const { runtime, held, said, asked, lost, world } = holds(1, { 1: STORED_AT });
    world.answers = false;
    lost.doubt(held);
    await turn();
    lost.tick(runtime.now());
    assert.deepEqual([asked, lost.isSettled], [[1], false]);
    world.answers = true;
    runtime.stall(500);
    lost.tick(runtime.now());
    await turn();
    assert.deepEqual([asked, said, world.settled], [[1, 1], ["ack.1 +WPI"], 1]);
  });

  test("of thousands that are lost each is asked for once, and one search goes on at a time", async () => {
    const { runtime, held, asked, lost, lostNow, world } = holds(3_000, {});
    lost.doubt(held);
    for (let i = 0; i < 200 && !lost.isSettled; i += 1) {
      runtime.stall(1_000);
      lost.tick(runtime.now());
      await turn();
    }
    assert.deepEqual([asked.length, lostNow.length, world.settled], [3_000, 3_000, 1]);
  });

  test("what is given back or acknowledged meanwhile counts as held until it is said", async () => {
    const { held, lost } = holds(3, { 3: STORED_AT });
    lost.doubt(held);
    assert.equal(lost.unsaid, 0);
    lost.say(held[0] as Delivery, giveBack(0));
    assert.equal(lost.unsaid, 1);
    await turn();
    assert.equal(lost.unsaid, 0);
  });

  test("an answer from before the next doubt ends nothing", async () => {
    const { held, asked, lost, world } = holds(1, { 1: STORED_AT });
    lost.doubt(held);
    lost.doubt(held);
    await turn();
    assert.deepEqual([asked, world.settled], [[1, 1], 1]);
  });
});

test("a sequence that was given again is another message: neither takes the place of the other", () => {
  const held = new Held(30_000);
  const [before, after] = [delivery(7), delivery(7, "1700000009000000000")];
  held.add(before);
  assert.equal(held.of(after.facts), undefined);
  held.add(after);
  assert.deepEqual([held.size, held.has(before), held.of(after.facts)], [2, true, after]);
  held.remove(before);
  assert.deepEqual([held.has(before), held.has(after)], [false, true]);
});
