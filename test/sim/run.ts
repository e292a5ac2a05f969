/**
 * The simulator's command line: many seeds, shared among child processes.
 *
 *   npm run test:sim -- --seeds 2000 --seed 1 [--minutes 10] [--shrink] [--trace] [--all] [--only KIND,…] [--json]
 *     [--invariant NAME] [--keep CLAIM-IN-WORDS]
 *   npm run test:sim -- --show --seed 8          one plan and its trace, whether it fails or not
 *   npm run test:sim -- --found NAME             the same for a plan of found/
 *
 * Exits with 1 when an invariant did not hold.
 */
import { parseArgs } from "node:util";
import { knownFaults, knownInvariants } from "./known-kinds.js";
import type { Plan } from "./plan.js";
import { faultKinds } from "./plans/fault-kinds.js";
import { foundPlans } from "./plans/found-plans.js";
import { planOf } from "./plans/plan-of.js";
import { runSeeds } from "./seeds/run-seeds.js";
import { showFailure, showPlan } from "./seeds/show-seed.js";

const SHOWN = 5;

const HELP = `Plays seeds: small meshes on a simulated network and clock, with faults.

  npm run test:sim -- [options]

  --seeds N          how many; default 1000
  --seed S           the first one; default 1
  --minutes M        as many as fit, instead of --seeds
  --only KIND,…      with these kinds of faults only
  --all              with the faults that the product does not withstand yet
  --shrink           makes a plan that fails as small as possible
  --trace            prints what happened in it
  --json             prints it as JSON
  --invariant NAME   shows failures of this one only
  --keep NAME        writes it to test/sim/found/NAME.json
  --lane             plans of the durable lane
  --show             one plan and its trace, whether it fails or not
  --found NAME       the same for a plan of test/sim/found

Exits with 1 when an invariant did not hold. Kinds of faults:`;

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    minutes: { type: "string" },
    shrink: { type: "boolean", default: false },
    trace: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    lane: { type: "boolean", default: false },
    show: { type: "boolean", default: false },
    found: { type: "string" },
    all: { type: "boolean", default: false },
    only: { type: "string" },
    invariant: { type: "string" },
    keep: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

const without = leftOut();
const unchecked = values.all || values.only !== undefined ? [] : knownInvariants();
const first = Number(values.seed);
process.exitCode = values.help ? help() : await play();

function help(): number {
  console.log([HELP, ...faultKinds.map(({ kind }) => `  ${kind}`)].join("\n"));
  return 0;
}

function play(): Promise<number> {
  if (values.found !== undefined) return showPlan(foundPlan(values.found));
  return values.show ? showPlan(planOf(first, { without: new Set(without), lane: values.lane })) : playAll();
}

function foundPlan(name: string): Plan {
  const found = foundPlans().get(name);
  if (found === undefined) throw new Error(`there is no found/${name}.json`);
  return found.plan;
}

/** Plays all seeds, and shows one of each kind of failure. */
async function playAll(): Promise<number> {
  const { minutes, shrink, trace, json, keep, lane } = values;
  const untilMs = minutes === undefined ? undefined : Date.now() + Number(minutes) * 60_000;
  const count = untilMs === undefined ? Number(values.seeds) : Number.MAX_SAFE_INTEGER;
  const { seeds, tookMs, perSecond, failures } = await runSeeds({ first, count, untilMs, without, unchecked, lane });
  console.log(`${seeds} seeds in ${(tookMs / 1_000).toFixed(1)} s, ${perSecond.toFixed(0)} a second`);
  for (const [invariant, failed] of failures) {
    console.log(`NOT HELD  ${invariant}: ${failed.length} seeds, such as ${failed.slice(0, SHOWN).join(", ")}`);
  }
  for (const [invariant, [seed]] of failures) {
    if (seed === undefined || (values.invariant ?? invariant) !== invariant) continue;
    await showFailure(seed, invariant, { without, shrink, trace, json, keep, lane });
  }
  return failures.size === 0 ? 0 : 1;
}

/** The kinds of faults that no plan has. */
function leftOut(): string[] {
  if (values.only !== undefined) {
    const only = values.only.split(",");
    return faultKinds.map(({ kind }) => kind).filter((kind) => !only.includes(kind));
  }
  return values.all ? [] : knownFaults();
}
