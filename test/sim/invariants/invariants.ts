/** All invariants, and how a run is checked against them. */
import type { Recorded } from "../history.js";
import type { Plan } from "../plan.js";
import { batchInvariants } from "./batches.js";
import { cancelInvariants } from "./cancels.js";
import { errorInvariants } from "./errors.js";
import { laneInvariants } from "./lane.js";
import { chainInvariants } from "./lane-chains.js";
import { limitInvariants } from "./lane-limits.js";
import { outcomeInvariants } from "./outcomes.js";
import { RunView } from "./run-view.js";
import { runInvariants } from "./runs.js";
import { waitInvariants } from "./waiting.js";

/** A promise that did not hold. */
export interface Violation {
  readonly invariant: string;
  readonly atMs: number;
  readonly what: string;
}

/** Where a promise did not hold. */
export type Found = Omit<Violation, "invariant">;

/** One promise of the mesh. */
export interface Invariant {
  /** Lower case, words joined by hyphens. */
  readonly name: string;
  /** The promise, in one sentence. */
  readonly promise: string;
  check(view: RunView): Found[];
}

/** All of them. */
export const invariants: readonly Invariant[] = [
  ...outcomeInvariants,
  ...runInvariants,
  ...errorInvariants,
  ...waitInvariants,
  ...cancelInvariants,
  ...laneInvariants,
  ...limitInvariants,
  ...chainInvariants,
  ...batchInvariants,
];

/** The violations of one run, in the order of the invariants. */
export function checkAll(facts: readonly Recorded[], plan: Plan): Violation[] {
  const view = new RunView(facts, plan);
  return invariants.flatMap(({ name, check }) => check(view).map((found) => ({ invariant: name, ...found })));
}
