/** Smooths a line without hiding gaps. Pure. */

/** The mean of each value and up to `many` − 1 before it. An unknown value stays unknown and counts in no mean. */
export function trailingMean(values: readonly (number | null)[], many: number): (number | null)[] {
  return values.map((value, i) => {
    if (value === null) return null;
    const known = values.slice(Math.max(0, i - many + 1), i + 1).filter((each) => each !== null);
    return known.reduce((sum, each) => sum + each, 0) / known.length;
  });
}
