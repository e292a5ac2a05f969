/**
 * A plan of the durable lane from a seed: the plan of the seed, most of whose jobs
 * are enqueued and not submitted.
 *
 * Left out: workers that are not ours, since they keep no leases; streams of
 * others over our subjects, which a broker refuses beside those of the lane.
 */
import type { CallerPlan, JobPlan, Plan, Step } from "../plan.js";
import { Draw } from "./draw.js";
import { type GenerateOptions, generatePlan } from "./generate.js";

const LANE_SEED = 0x1a9e_0000;
const LEFT_OUT = ["foreign-worker", "bare-workers", "stream", "id-reused", "id-twice"];

/** The lane's plan of a seed. */
export function lanePlan(seed: number, { without = new Set() }: GenerateOptions = {}): Plan {
  const plan = generatePlan(seed, { without: new Set([...without, ...LEFT_OUT]) });
  const draw = new Draw(seed + LANE_SEED);
  const steps = plan.steps.flatMap((step): Step[] => {
    if (step.do === "cancel") return [];
    if (step.do !== "submit" || draw.chance(0.3)) return [step];
    return [{ do: "enqueue", atMs: step.atMs, caller: step.caller, job: storedJob(draw, step.job) }];
  });
  const callers = plan.callers.map(({ kind: _kind, ...each }): CallerPlan => each);
  return { ...plan, lane: true, callers, steps };
}

/** Jobs of the lane are idempotent unless they say otherwise. One that may run once does not fail by itself. */
function storedJob(draw: Draw, { wait: _wait, id: _id, throws, ...job }: JobPlan): JobPlan {
  if (draw.chance(0.4)) return { ...job, timeoutMs: 10_000, idempotent: false };
  const fails = throws === true || draw.chance(0.05);
  return { ...job, timeoutMs: 10_000, idempotent: true, ...(fails ? { throws: true, maxAttempts: 2 } : {}) };
}
