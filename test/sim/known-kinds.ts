/**
 * Kinds of faults that the product does not withstand yet, and promises that it
 * does not keep yet. The default run leaves them out; `--all` includes them. Each has a plan in found/ that shows
 * it. Who mends one takes its line away.
 */

/** A kind of fault, or an invariant, that is left out, and a found plan that shows why. */
export type KnownKind = { readonly found: string } & (
  | {
      /** A kind of plans/fault-kinds.ts. */
      readonly fault: string;
    }
  | {
      /** An invariant of invariants/, that many kinds of faults break. */
      readonly invariant: string;
    }
);

/** All of them. A kind stands once for each found plan that keeps it out. */
export const knownKinds: readonly KnownKind[] = [];

/** Names of faults that the default run leaves out. */
export function knownFaults(): string[] {
  return knownKinds.flatMap((each) => ("fault" in each ? [each.fault] : []));
}

/** Names of invariants that the default run does not check. */
export function knownInvariants(): string[] {
  return knownKinds.flatMap((each) => ("invariant" in each ? [each.invariant] : []));
}
