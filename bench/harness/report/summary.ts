/** The few figures of a run that the README shows. Pure. */
import type { Comparison, RowResult } from "../figures/comparison.js";
import { formatNumber, markdownTable } from "../figures/numbers.js";

export const SUMMARY_BEGIN = "<!-- benchmark -->";
export const SUMMARY_END = "<!-- /benchmark -->";

/** One line: which arm stands in which column. */
interface Line {
  readonly what: string;
  readonly comparison: string;
  readonly condition: string;
  /** By column; undefined where there is none. */
  readonly arms: readonly (string | undefined)[];
  /** What a column without an arm says; default "–". */
  readonly none?: string;
  /** An arm whose figure is told beside the line's name. */
  readonly beside?: string;
}

const COLUMNS = ["Poolmesh Client", "Poolmesh embedded", "NATS queue group", "Moleculer", "NestJS", "BullMQ"];

const ECHOES = [
  ...["Poolmesh Client, 1 manager", "Poolmesh embedded, 1 worker"],
  ...["nats.js request()", "Moleculer", "NestJS", "BullMQ add and wait"],
];

const LINES: readonly Line[] = [
  {
    what: "empty jobs a second, 128 in flight",
    comparison: "1-throughput",
    condition: "window 128",
    arms: ECHOES,
  },
  {
    what: "lines a second through `poolmesh map`",
    comparison: "9-many",
    condition: "jobs/s",
    arms: ["poolmesh map, 1 manager"],
  },
  {
    what: "one empty job alone, p50, µs",
    comparison: "2-latency",
    condition: "p50",
    arms: ECHOES,
  },
  {
    what: "wait for a slot at 85 % load, p99, ms",
    comparison: "3-waiting-one-85",
    condition: "p99",
    arms: [
      ...["Poolmesh Client, 1 manager", "Poolmesh embedded"],
      ...["plain queue group", "Moleculer", undefined, "BullMQ add and wait"],
    ],
    beside: "ideal central queue",
  },
  {
    what: "a worker is killed → its callers hear of it, ms (peers: as documented)",
    comparison: "6-death",
    condition: "kill -9 of the worker → outcome at the caller",
    arms: [
      ...["Poolmesh Client, 1 manager, measured", "Poolmesh embedded, measured"],
      ...[undefined, "Moleculer, by its heartbeatTimeout", undefined, "BullMQ, by its stalledInterval"],
    ],
    none: "at their own timeout",
  },
];

/**
 * A table of medians in Markdown, with a line end. A line whose comparison was not measured is left out, and a column
 * that has no figure in any line.
 */
export function summaryTable({ rows }: { readonly rows: readonly RowResult[] }): string {
  const comparisons = new Map(rows.flatMap((row) => row.comparisons).map((each) => [each.id, each]));
  const lines = LINES.flatMap((line) => {
    const comparison = comparisons.get(line.comparison);
    return comparison === undefined ? [] : [cells(line, comparison)];
  });
  const hasFigure = (column: number): boolean => lines.some((line) => /^[\d.,]+$/.test(line[column] ?? ""));
  const table = [["median", ...COLUMNS], ...lines];
  return `${markdownTable(table.map((line) => line.filter((_, column) => column === 0 || hasFigure(column))))}\n`;
}

/** `text` with the table between its markers; unchanged when it has none. */
export function withSummary(text: string, table: string): string {
  const from = text.indexOf(SUMMARY_BEGIN);
  const to = text.indexOf(SUMMARY_END);
  if (from === -1 || to < from) return text;
  return `${text.slice(0, from + SUMMARY_BEGIN.length)}\n${table}${text.slice(to)}`;
}

function cells(line: Line, comparison: Comparison): string[] {
  const { what, arms, beside, none = "–" } = line;
  const name = beside === undefined ? what : `${what} (${beside}: ${median(comparison, beside, line.condition)})`;
  return [name, ...COLUMNS.map((_, i) => medianOr(none, comparison, arms[i], line.condition))];
}

function medianOr(none: string, comparison: Comparison, arm: string | undefined, condition: string): string {
  return arm === undefined ? none : median(comparison, arm, condition);
}

function median({ series, conditions }: Comparison, arm: string, condition: string): string {
  const figure = series.find((each) => each.arm === arm)?.figures[conditions.indexOf(condition)];
  return figure === undefined || figure === null ? "–" : formatNumber(figure.median);
}
