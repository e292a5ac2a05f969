/**
 * Kinds of faults that the product does not withstand yet. The default run
 * leaves them out; `--all` includes them. Each has a plan in found/ that shows
 * it. Who mends one takes its line away.
 */

/** A kind of fault that is left out, and the found plan that shows why. */
export interface KnownKind {
  /** A kind of plans/fault-kinds.ts. */
  readonly fault: string;
  /** File in found/, without ".json". */
  readonly found: string;
}

/** All of them. */
export const knownKinds: readonly KnownKind[] = [];
