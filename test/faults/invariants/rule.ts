/** One rule over a history, and the ids of all. */
import type { FaultEvent, Recorded } from "../history.js";

/** The ids that the checker knows. */
export const INVARIANTS = ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I11", "I12", "I13"] as const;
/** One of them. */
export type InvariantId = (typeof INVARIANTS)[number];

/** A rule: all it finds wrong in a history, and whether the history had anything for it to look at. */
export interface Rule {
  readonly invariant: InvariantId;
  /** The events that it looks at. */
  readonly looksAt: readonly FaultEvent["kind"][];
  check(events: readonly Recorded[]): string[];
}
