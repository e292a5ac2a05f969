/**
 * Columns of a table on a terminal: those that fit, each as a whole.
 *
 * A column that has no room is left out with its title; none is cut. Pure.
 */
import { fit, type Line, lineWidth, type Span, span } from "./line.js";

/** One column of rows of type `R`. */
export interface TopColumn<R> {
  readonly title: string;
  /** In characters. */
  readonly width: number;
  readonly align?: "right";
  /** The column of the highest rank is the first to go on a narrow terminal. */
  readonly rank: number;
  /** What stands in it; at most `width` characters. */
  readonly cell: (row: R) => Line;
}

const GAP = 2;

/** A table's columns for one width of the terminal. */
export class TopTable<R> {
  readonly #shown: readonly TopColumn<R>[];

  /** @param room the terminal's width, in characters */
  constructor(columns: readonly TopColumn<R>[], room: number) {
    const shown = [...columns];
    while (shown.length > 1 && widthOf(shown) > room) shown.splice(indexOfLast(shown), 1);
    this.#shown = shown;
  }

  /** The line of titles. */
  head(): Line {
    return this.#line(({ title, width, align }) => [span(fit(title, width, align ?? "left"), "soft")]);
  }

  /** The line of one row. */
  row(row: R): Line {
    return this.#line((column) => padded(column.cell(row), column));
  }

  #line(cellOf: (column: TopColumn<R>) => Line): Line {
    return this.#shown.flatMap((column, i) => [...(i === 0 ? [] : [span(" ".repeat(GAP))]), ...cellOf(column)]);
  }
}

/** Spans that fit as a whole, joined by blanks; those behind the first one that does not are left out too. */
export function wholeSpans(spans: readonly Span[], width: number): Line {
  const line: Span[] = [];
  let left = width;
  for (const each of spans) {
    const needed = lineWidth([each]) + (line.length === 0 ? 0 : GAP);
    if (needed > left) break;
    if (line.length > 0) line.push(span(" ".repeat(GAP)));
    line.push(each);
    left -= needed;
  }
  return line;
}

function padded<R>(cell: Line, { width, align }: TopColumn<R>): Line {
  const blank = span(" ".repeat(Math.max(0, width - lineWidth(cell))));
  return align === "right" ? [blank, ...cell] : [...cell, blank];
}

function widthOf<R>(columns: readonly TopColumn<R>[]): number {
  return columns.reduce((sum, { width }) => sum + width, 0) + GAP * (columns.length - 1);
}

function indexOfLast<R>(columns: readonly TopColumn<R>[]): number {
  return columns.reduce((last, { rank }, i) => (rank > (columns[last]?.rank ?? 0) ? i : last), 0);
}
