/** Numbers that stand for many: percentiles of samples, and the median of rounds with its range. Pure. */

/** What several rounds gave. */
export interface Figure {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** In the order of the rounds. */
  readonly rounds: readonly number[];
}

/** @param q from 0 to 1 */
export function percentile(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

/** Sums up rounds. */
export function figure(rounds: readonly number[]): Figure {
  const sorted = [...rounds].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  const median = sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
  return { median, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN, rounds: [...rounds] };
}

/** The ratio of two arms, round by round. */
export function ratio(over: Figure, under: Figure): Figure {
  return figure(over.rounds.map((value, round) => value / (under.rounds[round] ?? Number.NaN)));
}
