/** When a worker with jobs leaves a broker that does not answer, on a number for a clock. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SilentBroker } from "../../../mesh/link/broker/silent-broker.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { ManualRuntime } from "../../support/core/manual-runtime.js";

const CHECK_MS = 10;

/** A connection whose broker answers or not, and the checks of it. */
class Rig {
  readonly runtime = new ManualRuntime();
  answers = true;
  mayMove = true;
  moves: number[] = [];
  asked = 0;
  readonly #open: ((answered: boolean) => void)[] = [];
  readonly broker: SilentBroker;

  constructor() {
    const rig = this;
    this.broker = new SilentBroker({
      get mayMove() {
        return rig.mayMove;
      },
      flush: () => this.#flush(),
      move: () => this.#move(),
    } as unknown as Bus);
  }

  /** Checks go on for so long. */
  async check(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += CHECK_MS) {
      this.broker.check(this.runtime.now());
      await this.runtime.advance(CHECK_MS);
    }
  }

  #flush(): Promise<boolean> {
    this.asked += 1;
    return this.answers ? Promise.resolve(true) : new Promise((resolve) => this.#open.push(resolve));
  }

  #move(): void {
    this.moves.push(this.runtime.now());
    for (const end of this.#open.splice(0)) end(false);
  }
}

test("silent broker - one of a cluster that owes an answer for 1.2 s is left, and the next one is stayed with for 5 s", async () => {
  const rig = new Rig();
  await rig.check(2_000);
  assert.deepEqual([rig.moves, rig.asked], [[], 5], "it answers");
  rig.answers = false;
  await rig.check(2_000);
  assert.equal(rig.moves.length, 1);
  const [movedAtMs = 0] = rig.moves;
  assert.ok(movedAtMs >= 3_200 && movedAtMs <= 3_610, `${movedAtMs}`);
  await rig.check(10_000);
  assert.ok((rig.moves[1] as number) - movedAtMs >= 5_000, "a machine that is too busy looks alike everywhere");
});

test("silent broker - the only one is not left", async () => {
  const rig = new Rig();
  rig.mayMove = false;
  rig.answers = false;
  await rig.check(10_000);
  assert.deepEqual([rig.moves, rig.asked, rig.broker.owes], [[], 0, false]);
});

test("silent broker - time in which this process stood still is not the broker's", async () => {
  const rig = new Rig();
  rig.answers = false;
  await rig.check(1_000);
  rig.runtime.stall(5_000);
  await rig.check(1_000);
  assert.deepEqual(rig.moves, []);
  assert.equal(rig.broker.owes, true);
  await rig.check(300);
  assert.equal(rig.moves.length, 1);
});

test("silent broker - a connection that breaks owes nothing, and the next one is asked anew", async () => {
  const rig = new Rig();
  rig.answers = false;
  await rig.check(1_000);
  rig.mayMove = false;
  await rig.check(300);
  assert.equal(rig.broker.owes, false);
  rig.mayMove = true;
  rig.answers = true;
  await rig.check(3_000);
  assert.deepEqual(rig.moves, []);
});
