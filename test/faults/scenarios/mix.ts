/** A random mix of all faults. */
import assert from "node:assert/strict";
import { runMix } from "../mix.js";
import type { Scenario } from "../rig/scenario.js";

const mix: Scenario = {
  id: "F81",
  fault: "a seeded random mix of all these, then quiet",
  brokers: [1, 3],
  run: async (rig) => {
    const seed = 20_240_801 + rig.brokers.length;
    const { queue, faults } = await runMix(rig, { seed, seconds: rig.scale(12, 120), workers: 3 });
    const { lost, unexpected, duplicated, recovered, submitted, ok } = queue;
    assert.deepEqual({ lost, unexpected }, { lost: 0, unexpected: 0 });
    const hits = Object.values(faults).reduce((sum, count) => sum + count, 0);
    return `seed ${seed}, ${hits} faults: submitted ${submitted}, ok ${ok}, lost 0, unexpected 0, duplicated ${duplicated}, recovered ${recovered}`;
  },
};

/** All of them. */
export const mixes: readonly Scenario[] = [mix];
