/**
 * Where each slot of each worker lies in the field: the whole mesh at a glance.
 * Pure: sizes in, places out.
 *
 * Each worker is a small tank of cells that fills from the bottom. All tanks have the
 * same height, so they form bands. Cells are as large as the space allows. When there
 * is no space for slots, each worker is one cell.
 */

/** Places of all cells. */
export interface FieldLayout {
  /** Edge of a cell, in pixels. */
  readonly cellPx: number;
  /** "slots": a cell for each slot; "workers": a cell for each worker. */
  readonly unit: "slots" | "workers";
  /** x and y of each cell, in the order of workers and their slots. */
  readonly places: readonly (readonly [xPx: number, yPx: number])[];
  /** Index of each worker's first cell; one more entry than workers. */
  readonly starts: readonly number[];
}

const LARGEST_PX = 42;
const SMALLEST_PX = 4;
const SMALLEST_WORKER_PX = 2;

/** @param slots slots of each worker, in the order shown */
export function layoutField(slots: readonly number[], widthPx: number, heightPx: number): FieldLayout {
  for (let cellPx = LARGEST_PX; cellPx >= SMALLEST_PX; cellPx -= 1) {
    const layout = place(slots, cellPx, widthPx, heightPx, "slots");
    if (layout !== undefined) return layout;
  }
  const ones = slots.map(() => 1);
  for (let cellPx = LARGEST_PX; cellPx > SMALLEST_WORKER_PX; cellPx -= 1) {
    const layout = place(ones, cellPx, widthPx, heightPx, "workers");
    if (layout !== undefined) return layout;
  }
  const clipped = place(ones, SMALLEST_WORKER_PX, widthPx, Number.POSITIVE_INFINITY, "workers");
  return clipped ?? { cellPx: SMALLEST_WORKER_PX, unit: "workers", places: [], starts: [0] };
}

/** Which worker lies at a point; undefined for none. */
export function workerAt(layout: FieldLayout, xPx: number, yPx: number): number | undefined {
  const reach = layout.cellPx + gapOf(layout.cellPx);
  const cell = layout.places.findIndex(([x, y]) => xPx >= x && xPx < x + reach && yPx >= y && yPx < y + reach);
  if (cell < 0) return undefined;
  const next = layout.starts.findIndex((start) => start > cell);
  return next < 1 ? undefined : next - 1;
}

/** How high all tanks are, in cells: the typical worker comes out about square. */
export function tankHeight(slots: readonly number[]): number {
  const sorted = [...slots].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 1;
  return Math.min(8, Math.max(1, Math.round(Math.sqrt(median))));
}

function place(
  slots: readonly number[],
  cellPx: number,
  widthPx: number,
  heightPx: number,
  unit: FieldLayout["unit"],
): FieldLayout | undefined {
  const gap = gapOf(cellPx);
  const pitch = cellPx + gap;
  const between = unit === "slots" ? Math.max(2, Math.round(cellPx / 2.5)) : 0;
  const high = unit === "slots" ? tankHeight(slots) : 1;
  const places: [number, number][] = [];
  const starts = [0];
  let x = 0;
  let y = 0;
  for (const many of slots) {
    const wide = Math.ceil(many / high);
    if (x > 0 && x + wide * pitch - gap > widthPx) [x, y] = [0, y + high * pitch + between];
    if (x + wide * pitch - gap > widthPx || y + high * pitch - gap > heightPx) return undefined;
    for (let i = 0; i < many; i += 1) {
      places.push([x + (i % wide) * pitch, y + (high - 1 - Math.floor(i / wide)) * pitch]);
    }
    starts.push(places.length);
    x += wide * pitch + between;
  }
  return { cellPx, unit, places, starts };
}

function gapOf(cellPx: number): number {
  return cellPx >= 12 ? 3 : cellPx >= 7 ? 2 : 1;
}
