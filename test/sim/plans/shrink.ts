/**
 * Makes a failing plan as small as it can: fewer steps, fewer actors, fewer
 * brokers, rounder and smaller numbers, as long as the same invariant fails.
 *
 * Steps go by delta debugging (halves, quarters, …); the rest one change at a
 * time, until no change is left that keeps the failure, or the budget is used.
 */
import type { ActorPlan, JobPlan, Plan, Step } from "../plan.js";

/** Whether a plan still fails in the same way. */
export type StillFails = (plan: Plan) => Promise<boolean>;

/** Plans that are played at most. */
const BUDGET = 1_500;
/** No step is moved before this: the mesh has started by then, milliseconds. */
const STARTED_MS = 1_000;

/** The smallest plan found. */
export async function shrink(plan: Plan, stillFails: StillFails): Promise<Plan> {
  let left = BUDGET;
  let best = plan;
  const accept = async (candidate: Plan): Promise<boolean> => {
    if (left <= 0) return false;
    left -= 1;
    if (!(await stillFails(candidate))) return false;
    best = candidate;
    return true;
  };
  for (let before: Plan | undefined; before !== best && left > 0; ) {
    before = best;
    await dropSteps(() => best, accept);
    await tryEach(() => fewerActors(best), accept);
    await tryEach(() => simplerParts(best), accept);
  }
  return best;
}

type Accept = (candidate: Plan) => Promise<boolean>;

/** Delta debugging over the steps: parts that are not needed go, large parts first. */
async function dropSteps(current: () => Plan, accept: Accept): Promise<void> {
  for (let size = Math.ceil(current().steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < current().steps.length; ) {
      const { steps } = current();
      const fewer = [...steps.slice(0, from), ...steps.slice(from + size)];
      if (fewer.length === steps.length || !(await accept({ ...current(), steps: fewer }))) from += size;
    }
  }
}

/** Tries candidates until none is left; after each success they are made anew. */
async function tryEach(candidates: () => Plan[], accept: Accept): Promise<void> {
  for (let from = 0; ; ) {
    const all = candidates();
    const candidate = all[from];
    if (candidate === undefined) return;
    // what was refused before is refused again: go on from here
    if (!(await accept(candidate))) from += 1;
  }
}

function fewerActors(plan: Plan): Plan[] {
  const names = [...plan.managers, ...plan.workers, ...plan.callers].map(({ name }) => name);
  const smaller = names.map((name) => without(plan, name)).filter(isMesh);
  return plan.brokers === 1 ? smaller : [{ ...plan, brokers: 1 }, ...smaller];
}

/** Whether there is somebody to run jobs, and somebody to take those of clients. */
function isMesh({ managers, workers, callers }: Plan): boolean {
  return workers.length > 0 && (managers.length > 0 || callers.every(({ kind }) => kind === "embedded"));
}

function without(plan: Plan, name: string): Plan {
  const others = <A extends ActorPlan>(actors: readonly A[]): A[] => actors.filter((each) => each.name !== name);
  return {
    ...plan,
    managers: others(plan.managers),
    workers: others(plan.workers),
    callers: others(plan.callers),
    steps: plan.steps.filter(
      (step) => !("process" in step && step.process === name) && !("caller" in step && step.caller === name),
    ),
  };
}

function simplerParts(plan: Plan): Plan[] {
  const actors = (["managers", "workers", "callers"] as const).flatMap((role) =>
    plan[role].flatMap((each, i) =>
      simpler(each).map((changed) => ({ ...plan, [role]: replace<ActorPlan>(plan[role], i, changed) })),
    ),
  );
  const steps = plan.steps.flatMap((step, i) =>
    simplerSteps(step).map((changed) => ({ ...plan, steps: inOrder(replace(plan.steps, i, changed)) })),
  );
  return [...actors, ...simplerJobs(plan), ...steps];
}

/** A job that is submitted several times stays one job: all its submissions change alike. */
function simplerJobs(plan: Plan): Plan[] {
  const submits = plan.steps.filter((step) => step.do === "submit");
  const jobs = new Map(submits.map(({ job }) => [job.number, job]));
  return [...jobs.values()].flatMap((job) =>
    simpler(job, ["number"]).map((changed: JobPlan) => ({
      ...plan,
      steps: plan.steps.map((step) =>
        step.do === "submit" && step.job.number === job.number ? { ...step, job: changed } : step,
      ),
    })),
  );
}

function simplerSteps(step: Step): Step[] {
  if (step.do !== "submit") return simpler(step);
  const { job, ...rest } = step;
  return simpler(rest).map((changed) => ({ ...changed, job }));
}

/** Fields that a part may lose. */
const OPTIONAL = new Set<string>([
  "clockOffsetMs",
  "driftPpm",
  "broker",
  "idempotent",
  "priority",
  "wait",
  "throws",
  "padBytes",
  "blockMs",
  "direction",
  "restartAfterMs",
  "id",
]);

/** The same part with one field less, or one number that is smaller or rounder. */
function simpler<T extends object>(part: T, kept: readonly string[] = []): T[] {
  return Object.entries(part).flatMap(([name, value]) => {
    if (kept.includes(name)) return [];
    const { [name as keyof T]: _gone, ...rest } = part;
    const fewer =
      OPTIONAL.has(name) && (part as { do?: string }).do !== "lame-duck" && !isBrokerStep(part) ? [rest as T] : [];
    if (typeof value !== "number") return fewer;
    // the mesh starts first
    const from = name === "atMs" ? STARTED_MS : 0;
    return [...fewer, ...simplerNumbers(value - from).map((number) => ({ ...part, [name]: from + number }))];
  });
}

/** A fault of a broker has to say of which. */
function isBrokerStep(part: object): boolean {
  return "do" in part && "broker" in part;
}

function simplerNumbers(value: number): number[] {
  if (Math.abs(value) <= 1) return [];
  const unit = 10 ** Math.floor(Math.log10(Math.abs(value)));
  const rounded = Math.trunc(value / unit) * unit;
  const fine = Math.trunc(value / (unit / 10)) * (unit / 10);
  return [...new Set([Math.trunc(value / 2), rounded, fine])].filter(
    (each) => each !== value && Number.isInteger(each),
  );
}

function replace<T>(items: readonly T[], place: number, item: T): T[] {
  return items.map((each, i) => (i === place ? item : each));
}

function inOrder(steps: Step[]): Step[] {
  return steps.sort((a, b) => a.atMs - b.atMs);
}
