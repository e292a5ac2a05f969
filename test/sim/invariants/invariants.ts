/** All invariants, and how a run is checked against them. */
import type { Recorded } from "../history.js";
import type { Plan } from "../plan.js";

/** A promise that did not hold. */
export interface Violation {
  readonly invariant: string;
  readonly atMs: number;
  readonly what: string;
}

/** One promise of the mesh. */
export interface Invariant {
  /** Lower case, words joined by hyphens. */
  readonly name: string;
  /** The promise, in one sentence. */
  readonly promise: string;
  check(facts: readonly Recorded[], plan: Plan): Omit<Violation, "invariant">[];
}

export const invariants: readonly Invariant[] = [];

export function checkAll(facts: readonly Recorded[], plan: Plan): Violation[] {
  return invariants.flatMap((each) => each.check(facts, plan).map((found) => ({ invariant: each.name, ...found })));
}
