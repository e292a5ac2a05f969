/** Tops of scales that seldom move. Pure. */

/** The next of 1, 2, 5 × 10ⁿ, so that the scale seldom moves. */
export function niceTop(largest: number, least: number): number {
  const wanted = Math.max(largest, least);
  const unit = 10 ** Math.floor(Math.log10(wanted));
  const step = [1, 2, 5, 10].find((each) => each * unit >= wanted) ?? 10;
  return step * unit;
}
