/**
 * A plan from a seed: a small mesh, some jobs, and a few faults.
 *
 * Most plans have one to four faults: with more, one fault hides the other, and
 * nobody can read the trace.
 */
import type { ActorPlan, CallerPlan, JobPlan, Plan, WorkerPlan } from "../plan.js";
import { Draft } from "./draft.js";
import { Draw } from "./draw.js";
import { faultKinds } from "./fault-kinds.js";

/** The mesh has started by then, milliseconds. */
const FIRST_SUBMIT_MS = 1_500;
/** Faults begin a little earlier than the jobs, and go on a little longer. */
const EARLIER_MS = 200;
const LONGER_MS = 800;
const COMPANY_SEED = 0x5eed_0000;
/** How many faults a plan has, by weight. */
const FAULT_COUNTS = [0, 1, 1, 1, 2, 2, 2, 3, 3, 4];

/** What is left out. */
export interface GenerateOptions {
  /** Kinds of faults that no plan has; default none. */
  readonly without?: ReadonlySet<string>;
}

/** The plan of a seed. */
export function generatePlan(seed: number, options: GenerateOptions = {}): Plan {
  const draw = new Draw(seed);
  const brokers = draw.chance(0.3) ? 3 : 1;
  const cast = {
    managers: many(draw.chance(0.5) ? 1 : 2, (i) => actor(draw, brokers, "manager", i)),
    workers: many(draw.int(1, 4), (i): WorkerPlan => ({ ...actor(draw, brokers, "worker", i), slots: draw.int(1, 3) })),
    callers: many(draw.int(1, 3), (i): CallerPlan => makeCaller(draw, brokers, i)),
  };
  const spanMs = draw.size(50, 4_000);
  const faultsFrom = FIRST_SUBMIT_MS - EARLIER_MS;
  const draft = new Draft(draw, seed, brokers, cast, [faultsFrom, FIRST_SUBMIT_MS + spanMs + LONGER_MS]);
  submitJobs(draft, seed, FIRST_SUBMIT_MS + spanMs);
  addFaults(draft, options.without ?? new Set());
  if (draw.chance(0.15)) addCancel(draft);
  return draft.finish();
}

/** One job in four comes in the same turn as the one before it: clients send those in one message. */
function submitJobs(draft: Draft, seed: number, lastMs: number): void {
  const { draw } = draft;
  // Drawn apart, so that a seed has the jobs and faults that it had.
  const company = new Draw(seed + COMPANY_SEED);
  const jobs = draw.size(1, 20);
  let [beforeMs, before] = [0, ""];
  for (let i = 0; i < jobs; i += 1) {
    const [drawnMs, drawn] = [draw.int(FIRST_SUBMIT_MS, lastMs), draft.caller()];
    if (i === 0 || !company.chance(0.25)) [beforeMs, before] = [drawnMs, drawn];
    draft.submit(beforeMs, before, makeJob(draft));
  }
}

function addFaults(draft: Draft, without: ReadonlySet<string>): void {
  const kinds = faultKinds.filter(({ kind }) => !without.has(kind));
  const count = kinds.length === 0 ? 0 : draft.draw.one(FAULT_COUNTS);
  for (let i = 0; i < count; i += 1) draft.draw.weighted(kinds).add(draft);
}

function addCancel(draft: Draft): void {
  const submit = draft.anyJob();
  if (submit === undefined) return;
  draft.cancel(submit.atMs + draft.draw.size(1, 400), submit);
}

function actor(draw: Draw, brokers: number, role: string, index: number): ActorPlan {
  return { name: `${role}-${index}`, ...(brokers === 1 ? {} : { broker: draw.int(0, brokers - 1) }) };
}

function makeCaller(draw: Draw, brokers: number, index: number): CallerPlan {
  const plan = actor(draw, brokers, "caller", index);
  return draw.chance(0.15) ? { ...plan, kind: "embedded" } : plan;
}

function makeJob(draft: Draft): JobPlan {
  const { draw } = draft;
  const durationMs = draw.chance(0.15) ? 0 : draw.size(1, draw.chance(0.1) ? 3_000 : 500);
  return {
    number: draft.nextNumber(),
    durationMs,
    timeoutMs: draw.chance(0.2) ? draw.size(50, 2_000) : 10_000,
    ...(draw.chance(0.4) ? { idempotent: true } : {}),
    ...(draw.chance(0.1) ? { priority: draw.one(["high", "low"] as const) } : {}),
    ...(draw.chance(0.04) ? { wait: false } : {}),
    ...(draw.chance(0.04) ? { throws: true } : {}),
  };
}

function many<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i + 1));
}
