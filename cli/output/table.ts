/** Rows as aligned text, within the width of a terminal. Pure. */
import { wrapWords } from "./wrap.js";

/** One column: its title, and whether it is aligned to the right. */
export interface Column {
  readonly title: string;
  readonly align?: "right";
}

/** A cell: text, and perhaps what paints it without changing its width. */
export interface Cell {
  readonly text: string;
  readonly paint?: (text: string) => string;
}

const GAP = "  ";

/**
 * Lines of a table: titles, then rows. The last column is not padded. Columns that find no room stand below their row,
 * each with its title, and without those that are empty.
 *
 * @param room characters in a line; default no limit
 */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  room = Number.POSITIVE_INFINITY,
): string[] {
  const widths = columns.map(({ title }, i) => Math.max(title.length, ...rows.map((row) => row[i]?.text.length ?? 0)));
  const beside = fitting(widths, room);
  const titles = columns.map(({ title }) => ({ text: title }));
  const line = (row: readonly Cell[]): string =>
    row
      .slice(0, beside)
      .map((cell, i) => pad(cell, widths[i] ?? 0, columns[i]?.align === "right", i === beside - 1))
      .join(GAP)
      .trimEnd();
  return [line(titles), ...rows.flatMap((row) => [line(row), ...below(columns, row, beside, room)])];
}

/** How many of the first columns fit beside each other; at least one. */
function fitting(widths: readonly number[], room: number): number {
  let [used, count] = [0, 0];
  for (const width of widths) {
    used += width + (count === 0 ? 0 : GAP.length);
    if (used > room && count > 0) break;
    count += 1;
  }
  return count;
}

/** The other cells of a row, on lines of their own. */
function below(columns: readonly Column[], row: readonly Cell[], from: number, room: number): string[] {
  const pairs = row.slice(from).flatMap(({ text }, i) => (text === "" ? [] : [`${columns[from + i]?.title} ${text}`]));
  if (pairs.length === 0) return [];
  return wrapWords(pairs, room - GAP.length, GAP).map((each) => `${GAP}${each}`);
}

function pad(cell: Cell, width: number, right: boolean, last: boolean): string {
  const gap = " ".repeat(Math.max(0, width - cell.text.length));
  const text = cell.paint?.(cell.text) ?? cell.text;
  if (right) return gap + text;
  return last ? text : text + gap;
}
