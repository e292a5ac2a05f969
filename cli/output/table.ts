/** Rows as aligned text. Pure. */

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

/** Lines of a table: titles, then rows. The last column is not padded. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly Cell[])[]): string[] {
  const widths = columns.map(({ title }, i) => Math.max(title.length, ...rows.map((row) => row[i]?.text.length ?? 0)));
  const titles = columns.map(({ title }) => ({ text: title }));
  return [titles, ...rows].map((row) =>
    row
      .map((cell, i) => pad(cell, widths[i] ?? 0, columns[i]?.align === "right", i === columns.length - 1))
      .join("  ")
      .trimEnd(),
  );
}

function pad(cell: Cell, width: number, right: boolean, last: boolean): string {
  const gap = " ".repeat(Math.max(0, width - cell.text.length));
  const text = cell.paint?.(cell.text) ?? cell.text;
  if (right) return gap + text;
  return last ? text : text + gap;
}
