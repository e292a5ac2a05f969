/**
 * The simulator's command line: many seeds, shared among child processes.
 *
 *   npm run test:sim -- --seeds 2000 --seed 1 [--minutes 10] [--shrink] [--trace] [--all] [--only KIND,…] [--json]
 *     [--invariant NAME] [--keep CLAIM-IN-WORDS]
 *
 * Exits with 1 when an invariant did not hold.
 */
import { parseArgs } from "node:util";
import { knownFaults, knownInvariants } from "./known-kinds.js";
import { faultKinds } from "./plans/fault-kinds.js";
import { runSeeds } from "./seeds/run-seeds.js";
import { showSeed } from "./seeds/show-seed.js";

const SHOWN = 5;

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    minutes: { type: "string" },
    shrink: { type: "boolean", default: false },
    trace: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    all: { type: "boolean", default: false },
    only: { type: "string" },
    invariant: { type: "string" },
    keep: { type: "string" },
  },
});

const without = leftOut();
const unchecked = values.all || values.only !== undefined ? [] : knownInvariants();
const first = Number(values.seed);
const untilMs = values.minutes === undefined ? undefined : Date.now() + Number(values.minutes) * 60_000;
const count = untilMs === undefined ? Number(values.seeds) : Number.MAX_SAFE_INTEGER;
const summary = await runSeeds({ first, count, untilMs, without, unchecked });
console.log(
  `${summary.seeds} seeds in ${(summary.tookMs / 1_000).toFixed(1)} s, ${summary.perSecond.toFixed(0)} a second`,
);
for (const [invariant, seeds] of summary.failures) {
  console.log(`NOT HELD  ${invariant}: ${seeds.length} seeds, such as ${seeds.slice(0, SHOWN).join(", ")}`);
}
for (const [invariant, [seed]] of summary.failures) {
  if (seed === undefined || (values.invariant ?? invariant) !== invariant) continue;
  const { shrink, trace, json, keep } = values;
  await showSeed(seed, invariant, { without, shrink, trace, json, keep });
}
process.exitCode = summary.failures.size === 0 ? 0 : 1;

/** The kinds of faults that no plan has. */
function leftOut(): string[] {
  if (values.only !== undefined) {
    const only = values.only.split(",");
    return faultKinds.map(({ kind }) => kind).filter((kind) => !only.includes(kind));
  }
  return values.all ? [] : knownFaults();
}
