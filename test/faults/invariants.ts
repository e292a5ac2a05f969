/**
 * The invariants, checked over a history. Pure: events in, violations out.
 *
 * One function for each; {@link checkHistory} asks all of them. I10 does not exist.
 */
import type { Recorded } from "./history.js";
import { capacityRules } from "./invariants/capacity-rules.js";
import { durableRules } from "./invariants/durable-rules.js";
import { executionRules } from "./invariants/execution-rules.js";
import { outcomeRules } from "./invariants/outcome-rules.js";
import { processRules } from "./invariants/process-rules.js";
import { INVARIANTS, type InvariantId, type Rule } from "./invariants/rule.js";

/** What is broken, and how. */
export interface Violation {
  readonly invariant: InvariantId;
  readonly what: string;
}

/** What a check found. */
export interface Verdict {
  readonly violations: readonly Violation[];
  /** The invariants that had something to look at. */
  readonly checked: readonly InvariantId[];
}

const RULES: readonly Rule[] = [...outcomeRules, ...durableRules, ...executionRules, ...capacityRules, ...processRules];

/** Checks every invariant over a whole history. */
export function checkHistory(events: readonly Recorded[]): Verdict {
  const kinds = new Set(events.map((event) => event.kind));
  const looking = RULES.filter((rule) => rule.looksAt.some((kind) => kinds.has(kind)));
  return {
    violations: looking.flatMap(({ invariant, check }) => check(events).map((what) => ({ invariant, what }))),
    checked: INVARIANTS.filter((id) => looking.some((rule) => rule.invariant === id)),
  };
}
