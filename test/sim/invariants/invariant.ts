/** One promise of the mesh, and where it did not hold. */
import type { RunView } from "./run-view.js";

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
