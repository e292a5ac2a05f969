/** What a row of the benchmark gives: comparisons of arms under several conditions, and targets. Pure. */
import type { Figure } from "./stats.js";

/** Several arms under several conditions, one unit. */
export interface Comparison {
  /** Names its chart's file. */
  readonly id: string;
  readonly title: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
  /** Such as the windows. */
  readonly conditions: readonly string[];
  readonly series: readonly Series[];
  /** The arm that ratios are taken against; undefined for none. */
  readonly against?: string;
  /** The conditions for which a ratio means something; default all. */
  readonly ratiosAt?: readonly string[];
  /** What the figures do not show. */
  readonly doesNotShow: string;
  /** Whether it has a chart; default true. */
  readonly chart?: boolean;
}

/** One arm's figures, in the order of the conditions; null where it does not take part. */
export interface Series {
  readonly arm: string;
  readonly figures: readonly (Figure | null)[];
}

/** One thing that had to be reached. */
export interface Target {
  readonly what: string;
  readonly wanted: string;
  readonly measured: Figure;
  readonly met: boolean;
}

/** When and how a row was measured. */
export interface Circumstances {
  /** ISO 8601. */
  readonly date: string;
  readonly rounds: number;
  /** Load average over one minute before it. */
  readonly loadBefore: number;
  /** The model of the machine's processor. */
  readonly processor: string;
}

/** Everything that one row gives. */
export interface RowResult {
  readonly row: number;
  readonly title: string;
  readonly comparisons: readonly Comparison[];
  readonly targets: readonly Target[];
  readonly measured?: Circumstances;
}

/** A ratio or amount that must be at least `least`. */
export function atLeast(what: string, measured: Figure, least: number, unit = "×"): Target {
  return { what, wanted: `≥ ${least} ${unit}`, measured, met: measured.median >= least };
}

/** A ratio or amount that must be at most `most`. */
export function atMost(what: string, measured: Figure, most: number, unit = "×"): Target {
  return { what, wanted: `≤ ${most} ${unit}`, measured, met: measured.median <= most };
}

/** Whether an arm was measured. */
export function hasArm(comparison: Comparison, arm: string): boolean {
  return comparison.series.some((each) => each.arm === arm);
}

/** The figure of one arm under one condition. @throws when it was not measured */
export function figureOf(comparison: Comparison, arm: string, condition: string): Figure {
  const series = comparison.series.find((each) => each.arm === arm);
  const found = series?.figures[comparison.conditions.indexOf(condition)];
  if (found === undefined || found === null) throw new Error(`no figure of ${arm} at ${condition}`);
  return found;
}
