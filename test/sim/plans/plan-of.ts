/** The plan of a seed, with the durable lane or without it. */
import type { Plan } from "../plan.js";
import { type GenerateOptions, generatePlan } from "./generate.js";
import { lanePlan } from "./lane-plan.js";

/** What decides a plan besides its seed. */
export interface PlanOptions extends GenerateOptions {
  /** Most jobs are enqueued in the durable lane; default false. */
  readonly lane?: boolean;
}

export function planOf(seed: number, { lane = false, ...options }: PlanOptions): Plan {
  return lane ? lanePlan(seed, options) : generatePlan(seed, options);
}
