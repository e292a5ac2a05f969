/** Which workers are shown, and in which order. Pure. */
import type { StateWord, WorkerRow } from "./worker-row.js";

/** The columns to sort by; "trouble" puts lost workers first. */
export type SortColumn = "trouble" | "worker" | "host" | "busy" | "jobsDone" | "jobsFailed" | "loopLagMs" | "heartbeat";

/** A column and a direction. */
export interface SortOrder {
  readonly column: SortColumn;
  readonly descending: boolean;
}

/** The reader's filter. */
export interface WorkerFilter {
  /** Empty for all pools. */
  readonly pool: string;
  /** Words that must all be found in a row's pool, worker, host, state, marks, jobs or labels. */
  readonly text: string;
  /** Only these states; empty for all. */
  readonly states: ReadonlySet<StateWord>;
}

const collator = new Intl.Collator("en", { numeric: true });

/** Compares by pool, then by name as a person would: w-2 before w-10; then by key. */
export function byName(a: WorkerRow, b: WorkerRow): number {
  return collator.compare(a.pool, b.pool) || collator.compare(a.worker, b.worker) || (a.key < b.key ? -1 : 1);
}

/** Whether a row passes the filter. */
export function isShown(row: WorkerRow, filter: WorkerFilter): boolean {
  if (filter.pool !== "" && row.seen.view.heartbeat?.pool !== filter.pool) return false;
  if (filter.states.size > 0 && !filter.states.has(row.state)) return false;
  const words = filter.text.toLowerCase().split(/\s+/);
  if (words.length === 1 && words[0] === "") return true;
  const text = searchText(row);
  return words.every((word) => text.includes(word));
}

/**
 * Sorts rows that are sorted by name already. Rows that are equal keep that order.
 *
 * @param rows sorted by {@link byName}
 */
export function sortRows(rows: readonly WorkerRow[], order: SortOrder, nowMs: number): WorkerRow[] {
  const sign = order.descending ? -1 : 1;
  if (order.column === "worker") return order.descending ? [...rows].reverse() : [...rows];
  if (order.column === "host") return [...rows].sort((a, b) => sign * collator.compare(a.host, b.host));
  const value = VALUES[order.column];
  return [...rows].sort((a, b) => sign * (value(a, nowMs) - value(b, nowMs)));
}

const VALUES: Readonly<Record<Exclude<SortColumn, "worker" | "host">, (row: WorkerRow, nowMs: number) => number>> = {
  trouble: (row) => row.rank,
  busy: (row) => (row.slots === 0 ? 1 : row.busy / row.slots),
  jobsDone: (row) => row.jobsDone,
  jobsFailed: (row) => row.jobsFailed,
  loopLagMs: (row) => row.loopLagMs,
  heartbeat: (row, nowMs) => row.seen.view.ageMs + nowMs - row.seen.receivedAtMs,
};

function searchText(row: WorkerRow): string {
  const labels = Object.entries(row.seen.view.heartbeat?.labels ?? {}).map(([key, value]) => `${key}=${value}`);
  return [row.pool, row.worker, row.host, row.state, row.version, row.running, ...row.marks, ...labels]
    .join(" ")
    .toLowerCase();
}
