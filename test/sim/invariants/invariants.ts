/** All invariants, and how a run is checked against them. */
import type { Recorded } from "../history.js";
import type { Plan } from "../plan.js";
import { batchInvariants } from "./batches.js";
import { cancelInvariants } from "./cancels.js";
import { errorInvariants } from "./errors.js";
import { freePlaceInvariants } from "./free-places.js";
import type { Invariant, Violation } from "./invariant.js";
import { laneInvariants } from "./lane.js";
import { chainInvariants } from "./lane-chains.js";
import { limitInvariants } from "./lane-limits.js";
import { outcomeInvariants } from "./outcomes.js";
import { RunView } from "./run-view.js";
import { runInvariants } from "./runs.js";
import { waitInvariants } from "./waiting.js";

/** All of them. */
export const invariants: readonly Invariant[] = [
  ...outcomeInvariants,
  ...runInvariants,
  ...errorInvariants,
  ...waitInvariants,
  ...cancelInvariants,
  ...laneInvariants,
  ...limitInvariants,
  ...freePlaceInvariants,
  ...chainInvariants,
  ...batchInvariants,
];

/** The violations of one run, in the order of the invariants. */
export function checkAll(facts: readonly Recorded[], plan: Plan): Violation[] {
  const view = new RunView(facts, plan);
  return invariants.flatMap(({ name, check }) => check(view).map((found) => ({ invariant: name, ...found })));
}
