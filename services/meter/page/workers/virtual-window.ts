/** Which rows of a long table get an element. Pure. */

/** Rows first to last − 1 are drawn; the space of the others is kept free above and below. */
export interface VirtualWindow {
  readonly first: number;
  readonly last: number;
  readonly padTopPx: number;
  readonly padBottomPx: number;
}

/** Rows drawn beyond each edge of the view, so that scrolling shows no blank. */
const OVERSCAN_ROWS = 8;

/** Tables up to this long are drawn whole, so that the browser's own search and printing see every row. */
const WHOLE_ROWS = 100;

/**
 * @param topPx where the view begins, from the top of the first row, in pixels; may be negative
 * @param viewPx height of the view, in pixels
 * @param rowPx height of each row, in pixels
 */
export function virtualWindow(count: number, topPx: number, viewPx: number, rowPx: number): VirtualWindow {
  if (count <= WHOLE_ROWS) return { first: 0, last: count, padTopPx: 0, padBottomPx: 0 };
  const clamp = (row: number): number => Math.min(count, Math.max(0, row));
  const first = clamp(Math.floor(topPx / rowPx) - OVERSCAN_ROWS);
  const last = clamp(Math.ceil((topPx + Math.max(0, viewPx)) / rowPx) + OVERSCAN_ROWS);
  return {
    first,
    last: Math.max(first, last),
    padTopPx: first * rowPx,
    padBottomPx: (count - Math.max(first, last)) * rowPx,
  };
}
