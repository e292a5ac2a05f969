/**
 * The live view as lines: state and size in, lines out. Pure.
 *
 * Pools come first and may take half of the height; workers take the rest,
 * those in trouble first. What does not fit is counted in a last line.
 */

import { plural } from "../../browser/format.js";
import { byHeat, type PoolOrder } from "../../browser/order-pools.js";
import { byName, isShown, sortRows } from "../../browser/order-workers.js";
import { poolWarnings, severity } from "../../browser/pool-health.js";
import { type WorkerRow, workerRow } from "../../browser/worker-row.js";
import type { CapacityView, WorkersView } from "../../browser.js";
import { plainText } from "../../mesh/plain-text.js";
import { wrapHanging } from "../output/wrap.js";
import { wholeSpans } from "./columns.js";
import { connectionSpan } from "./connection-span.js";
import { clipLine, fit, type Line, lineWidth, span } from "./line.js";
import { poolTable } from "./pool-line.js";
import { workerTable } from "./worker-line.js";

/** What is known, and what was asked for. */
export interface TopState {
  readonly url: string;
  /** Only this pool; empty for all. */
  readonly pool: string;
  readonly capacity: CapacityView | undefined;
  readonly workers: WorkersView | undefined;
  /** Keeps the order of pools at rest; without one they are in order at once. */
  readonly order?: PoolOrder;
}

/** Sentences about what is wrong, and the height from which on there is room for them. */
const MOST_WARNINGS = 3;
const ROWS_FOR_WARNINGS = 20;
/** They take one line of so many. */
const ROWS_FOR_WARNING_LINE = 6;

/** A terminal's size, in characters. */
export interface TopSize {
  readonly columns: number;
  readonly rows: number;
}

/**
 * The screen, at most `rows` lines of at most `columns` columns.
 *
 * @param nowMs monotonic clock, in milliseconds
 */
export function renderScreen(state: TopState, size: TopSize, nowMs: number): Line[] {
  const lines: Line[] = [headLine(state, size.columns), []];
  const rows = workerRows(state, nowMs);
  if (state.capacity?.total === undefined) lines.push([span("Listening for the meter …", "soft")]);
  else {
    lines.push(...poolLines(state, size, nowMs), ...warningLines(state, size));
    lines.push([], ...workerLines(rows, size, size.rows - lines.length - 1, nowMs));
  }
  return lines.slice(0, size.rows).map((line) => clipLine(line, size.columns));
}

/** The chosen pool's workers, those in trouble first. */
function workerRows(state: TopState, nowMs: number): WorkerRow[] {
  const filter = { pool: state.pool, text: "", states: new Set<never>() };
  const rows = [...(state.workers?.workers.values() ?? [])].map(workerRow).filter((row) => isShown(row, filter));
  return sortRows(rows.sort(byName), { column: "trouble", descending: false }, nowMs);
}

function headLine(state: TopState, columns: number): Line {
  const right = connectionSpan(state.capacity?.connection);
  const room = Math.max(0, columns - lineWidth([right]) - 2);
  const left = wholeSpans([span("poolmesh", "strong"), span(state.url, "soft"), span("q quits", "soft")], room);
  return [...left, span(" ".repeat(Math.max(2, columns - lineWidth(left) - lineWidth([right])))), right];
}

function poolLines(state: TopState, size: TopSize, nowMs: number): Line[] {
  const heard = [...(state.capacity?.pools.values() ?? [])];
  const pools = state.order?.arrange(heard, nowMs) ?? heard.sort(byHeat);
  const total = state.capacity?.total;
  const listed = total !== undefined && pools.length > 1 ? [total, ...pools] : pools;
  const room = Math.max(3, Math.floor(size.rows / 2) - 3);
  const table = poolTable(size.columns, listed);
  const lines = [table.head(), ...listed.slice(0, room).map((pool) => table.row(pool))];
  if (listed.length > room) lines.push([span(`… ${plural(listed.length - room, "more pool")}`, "soft")]);
  return lines;
}

/** The worst of what is wrong, in sentences, where there is room for them. */
function warningLines(state: TopState, size: TopSize): Line[] {
  if (size.rows < ROWS_FOR_WARNINGS) return [];
  const wrong = [...(state.capacity?.pools.values() ?? [])].filter((pool) => severity(pool) > 1).sort(byHeat);
  const said = wrong.flatMap((pool) => {
    const told = poolWarnings(pool).filter(({ text }) => text !== "");
    return told.map(({ text, tone }) => ({ tone, text: `${plainText(pool.pool)}: ${text}` }));
  });
  const most = Math.floor(size.rows / ROWS_FOR_WARNING_LINE);
  const lines: Line[] = [];
  for (const { text, tone } of said.slice(0, MOST_WARNINGS)) {
    const broken = wrapHanging(text, size.columns);
    if (lines.length > 0 && lines.length + broken.length > most) break;
    lines.push(...broken.map((each) => [span(fit(each, size.columns).trimEnd(), tone)]));
  }
  return lines.length === 0 ? [] : [[], ...lines];
}

function workerLines(rows: readonly WorkerRow[], size: TopSize, height: number, nowMs: number): Line[] {
  if (rows.length === 0) {
    return [
      [span("No workers yet. Start one with:", "soft")],
      [span("  poolmesh worker --pool adder --handler ./handler.ts --slots 4")],
    ];
  }
  const room = rows.length + 1 <= height ? rows.length : Math.max(0, height - 2);
  const table = workerTable(size.columns, rows, nowMs);
  const lines = [table.head(), ...rows.slice(0, room).map((row) => table.row(row))];
  if (rows.length > room) lines.push([span(`… ${plural(rows.length - room, "more worker")}`, "soft")]);
  return lines;
}
