/**
 * A plan of the durable lane from a seed: the plan of the seed, most of whose jobs
 * are enqueued and not submitted. Half of the plans have limits, some jobs are followed by others, and some plans
 * have batches. In one of five a broker is killed just after a job was stored. In one of seven with a single broker its machine
 * loses its power: such a plan has neither batches nor jobs that follow others.
 *
 * Left out: workers that are not ours, since they keep no leases; streams of
 * others over our subjects, which a broker refuses beside those of the lane.
 */
import type { Limit } from "../../../mesh/durable/limits/limit.js";
import type { CallerPlan, JobPlan, Plan, Step } from "../plan.js";
import { Draw } from "./draw.js";
import { type GenerateOptions, generatePlan } from "./generate.js";

const LANE_SEED = 0x1a9e_0000;
const LIMITS_SEED = 0x11a1_0000;
const BATCH_SEED = 0xba7c_0000;
const KILL_SEED = 0xc4a5_0000;
const POWER_SEED = 0x90e4_0000;
const MOST_BATCHES = 3;
const MOST_JOBS = 6;
const LEFT_OUT = ["foreign-worker", "bare-workers", "stream", "id-reused", "id-twice"];
/** Keys of jobs; the last one has a limit of its own. */
const KEYS = ["red", "blue"] as const;

/** The lane's plan of a seed. */
export function lanePlan(seed: number, { without = new Set() }: GenerateOptions = {}): Plan {
  const plan = generatePlan(seed, { without: new Set([...without, ...LEFT_OUT]) });
  const draw = new Draw(seed + LANE_SEED);
  // Drawn apart, so that a seed has the jobs and faults that it had.
  const more = new Draw(seed + LIMITS_SEED);
  const limits = limitsOf(more);
  const steps = plan.steps.flatMap((step): Step[] => {
    if (step.do === "cancel") return [];
    if (step.do !== "submit" || draw.chance(0.3)) return [step];
    const job = { ...storedJob(draw, step.job), ...bondsOf(more, limits.length > 0) };
    return [{ do: "enqueue", atMs: step.atMs, caller: step.caller, job }];
  });
  const callers = plan.callers.map(({ kind: _kind, ...each }): CallerPlan => each);
  const kills = without.has("kill-broker") ? [] : aimedKill(new Draw(seed + KILL_SEED), steps, plan.brokers);
  const losses = without.has("power-loss") ? [] : powerLosses(new Draw(seed + POWER_SEED), steps, plan.brokers);
  const all =
    losses.length > 0
      ? [...steps.map(alone), ...kills, ...losses]
      : [...steps, ...kills, ...batches(new Draw(seed + BATCH_SEED), steps)];
  return { ...plan, lane: true, callers, steps: all, ...(limits.length > 0 ? { limits } : {}) };
}

/** The only broker loses what its streams stored last: jobs that run, whose sequences others have soon after. */
function powerLosses(draw: Draw, steps: readonly Step[], brokers: number): Step[] {
  const stored = steps.filter((step) => step.do === "enqueue");
  if (stored.length === 0 || brokers !== 1 || !draw.chance(1 / 7)) return [];
  const atMs = draw.one(stored).atMs + draw.int(400, 2_000);
  const [forMs, losesMs] = [draw.size(100, 3_000), draw.size(20, 5_000)];
  let number = Math.max(...steps.map((step) => ("job" in step ? step.job.number : 0)));
  const jobs = (fromMs: number, toMs: number, longestMs: number): Step[] =>
    Array.from({ length: draw.int(1, MOST_JOBS) }, () => {
      number += 1;
      const { caller } = draw.one(stored);
      const job = { number, durationMs: draw.int(0, longestMs), timeoutMs: 10_000, idempotent: draw.chance(0.6) };
      return { do: "enqueue", atMs: draw.int(fromMs, toMs), caller, job } as const;
    });
  return [
    ...jobs(atMs - Math.min(losesMs, 400), atMs, 4_000),
    ...jobs(atMs + forMs, atMs + forMs + 2_000, 500),
    { do: "kill-broker", atMs, broker: 0, forMs, losesMs, ...(draw.chance(0.4) ? { keepsConsumers: true } : {}) },
  ];
}

/** Without jobs that follow it: what is lost of a chain has no promise. */
function alone(step: Step): Step {
  if (step.do !== "enqueue") return step;
  const { follows: _follows, ...job } = step.job;
  return { ...step, job };
}

/** A broker that is killed just after a job has come: it forgets what it delivered last. */
function aimedKill(draw: Draw, steps: readonly Step[], brokers: number): Step[] {
  const stored = steps.filter((step) => step.do === "enqueue");
  if (stored.length === 0 || !draw.chance(0.2)) return [];
  const atMs = draw.one(stored).atMs + draw.int(5, 200);
  return [{ do: "kill-broker", atMs, broker: draw.int(0, brokers - 1), forMs: draw.size(100, 3_000) }];
}

/** Batches that are enqueued when some other job is. */
function batches(draw: Draw, steps: readonly Step[]): Step[] {
  const stored = steps.filter((step) => step.do === "enqueue");
  if (stored.length === 0 || draw.chance(0.4)) return [];
  let number = Math.max(...steps.map((step) => ("job" in step ? step.job.number : 0)));
  return Array.from({ length: draw.int(1, MOST_BATCHES) }, (_, i): Step => {
    const { atMs, caller } = draw.one(stored);
    const jobs = Array.from({ length: draw.int(0, MOST_JOBS) }, (): JobPlan => {
      number += 1;
      const fails = draw.chance(0.2) ? { throws: true } : {};
      return { number, durationMs: draw.int(0, 300), timeoutMs: 10_000, maxAttempts: 2, ...fails };
    });
    return { do: "batch", atMs, caller, id: `batch-${i + 1}`, jobs };
  });
}

/** Jobs of the lane are idempotent unless they say otherwise. One that may run once does not fail by itself. */
function storedJob(draw: Draw, { wait: _wait, id: _id, throws, ...job }: JobPlan): JobPlan {
  if (draw.chance(0.4)) return { ...job, timeoutMs: 10_000, idempotent: false };
  const fails = throws === true || draw.chance(0.05);
  return { ...job, timeoutMs: 10_000, idempotent: true, ...(fails ? { throws: true, maxAttempts: 2 } : {}) };
}

/** With what a job is bound to others: a key that they share, and jobs that follow it. */
function bondsOf(draw: Draw, isLimited: boolean): Pick<JobPlan, "key" | "follows"> {
  const key = isLimited && draw.chance(0.8) ? { key: draw.one(KEYS) } : {};
  return draw.chance(0.2) ? { ...key, follows: draw.int(1, 3) } : key;
}

function limitsOf(draw: Draw): Limit[] {
  if (draw.chance(0.5)) return [];
  const limits = [limit(draw, draw.chance(0.8) ? "each-key" : "pool")];
  if (draw.chance(0.3)) limits.push(limit(draw, `key:${KEYS[1]}`));
  return limits;
}

function limit(draw: Draw, target: string): Limit {
  const running = { running: draw.int(1, 3) };
  const starts = { starts: draw.int(1, 4), perMs: draw.size(100, 2_000) };
  return { target, ...draw.one([running, running, starts, { ...running, ...starts }]) };
}
