/** Shows a person what fails at a seed: the plan, as small as it gets, and the trace. */

import type { Plan } from "../plan.js";
import { keepFound } from "../plans/found-plans.js";
import { planOf } from "../plans/plan-of.js";
import { shrink } from "../plans/shrink.js";
import { planText, traceLines, violationText } from "../report.js";
import { simulate } from "../simulate.js";

/** How much is shown. */
export interface ShowOptions {
  readonly without: readonly string[];
  /** Make the plan smaller first. */
  readonly shrink: boolean;
  readonly trace: boolean;
  /** The plan as JSON. */
  readonly json: boolean;
  /** Keep the plan in found/ under this name. */
  readonly keep?: string | undefined;
  readonly lane: boolean;
}

/** Prints a seed whose plan does not hold this invariant. */
export async function showFailure(seed: number, invariant: string, options: ShowOptions): Promise<void> {
  const found = planOf(seed, { without: new Set(options.without), lane: options.lane });
  const fails = async (plan: typeof found): Promise<boolean> =>
    (await simulate(plan)).violations.some((each) => each.invariant === invariant);
  const plan = options.shrink ? await shrink(found, fails) : found;
  const run = await simulate(plan, { traced: options.trace });
  console.log(`\n── ${invariant}\n${planText(plan)}\n\n${violationText(run)}`);
  if (options.trace) console.log(`\n${traceLines(run).join("\n")}`);
  if (options.keep !== undefined) {
    const what = run.violations.find((each) => each.invariant === invariant)?.what ?? "";
    keepFound(options.keep, { claim: what, invariant, mended: false, seed, plan });
  }
  if (options.json) console.log(`\n${JSON.stringify(plan)}`);
}

/** Prints a plan and its trace; 1 when an invariant did not hold, else 0. */
export async function showPlan(plan: Plan): Promise<number> {
  const run = await simulate(plan, { traced: true });
  console.log(`${planText(plan)}\n\n${traceLines(run).join("\n")}`);
  return run.violations.length === 0 ? 0 : 1;
}
