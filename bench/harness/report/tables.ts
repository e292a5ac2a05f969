/** Comparisons and targets as rows of cells. Pure. */
import type { Comparison, Target } from "../figures/comparison.js";
import { formatFigure } from "../figures/numbers.js";
import { type Figure, ratio } from "../figures/stats.js";

/** Arms down, conditions across; with a ratio to the arm that is compared against. */
export function comparisonCells(comparison: Comparison): string[][] {
  const { conditions, series, unit, against, ratiosAt = conditions } = comparison;
  const base = series.find(({ arm }) => arm === against);
  const hasRatio = (condition: string): boolean => base !== undefined && ratiosAt.includes(condition);
  const head = conditions.flatMap((name) => (hasRatio(name) ? [name, `÷ ${against}`] : [name]));
  const body = series.map(({ arm, figures }) => [
    arm,
    ...conditions.flatMap((condition, i) => {
      const figure = figures[i] ?? null;
      const cell = formatFigure(figure);
      return hasRatio(condition) ? [cell, ratioText(figure, base?.figures[i] ?? null)] : [cell];
    }),
  ]);
  return [[unit, ...head], ...body];
}

/** What was to be reached and what was. */
export function targetCells(targets: readonly Target[]): string[][] {
  const body = targets.map(({ what, wanted, measured, met }) => [
    what,
    wanted,
    formatFigure(measured),
    met ? "yes" : "no",
  ]);
  return [["target", "wanted", "measured", "met"], ...body];
}

function ratioText(over: Figure | null, under: Figure | null): string {
  if (over === null || under === null) return "–";
  const { median } = ratio(over, under);
  return Number.isFinite(median) ? median.toFixed(2) : "–";
}
