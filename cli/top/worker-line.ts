/** One worker as a line. Pure. */

import { age, count, duration } from "../../browser/format.js";
import type { StateWord, WorkerRow } from "../../browser/worker-row.js";
import { heartbeatAgeMs } from "../../browser.js";
import { slotCells } from "./bar.js";
import { type TopColumn, TopTable, wholeSpans } from "./columns.js";
import { fit, type Line, longest, span, type Tone } from "./line.js";

const LOOKS: Readonly<Record<StateWord, readonly [sign: string, tone: Tone]>> = {
  ready: ["●", "water"],
  starting: ["◌", "soft"],
  paused: ["‖", "iris"],
  draining: ["▽", "amber"],
  stopped: ["□", "soft"],
  lost: ["✕", "coral"],
  unknown: ["?", "soft"],
};

/**
 * The workers' table for one width of the terminal. Workers of several pools are shown with their pools.
 *
 * @param nowMs monotonic clock, in milliseconds
 */
export function workerTable(columns: number, rows: readonly WorkerRow[], nowMs: number): TopTable<WorkerRow> {
  const { name, pool, slots, host } = widths(columns, rows);
  const number = (title: string, rank: number, of: (row: WorkerRow) => readonly [text: string, tone: Tone]) => {
    const cell = (row: WorkerRow): Line => {
      const [text, tone] = of(row);
      return [span(fit(text, NUMBER_WIDTH, "right"), tone)];
    };
    return { title, width: NUMBER_WIDTH, rank, align: "right", cell } as const;
  };
  const table: TopColumn<WorkerRow>[] = [
    { title: "  STATE", width: 10, rank: 0, cell: stateCell },
    { title: "WORKER", width: name, rank: 1, cell: ({ worker }) => [span(fit(worker, name), "strong")] },
    ...(pool === 0
      ? []
      : [{ title: "POOL", width: pool, rank: 3.5, cell: (row: WorkerRow) => [span(fit(row.pool, pool))] }]),
    { title: "SLOTS", width: slots, rank: 5, cell: (row) => slotsCell(row, slots) },
    number("BUSY", 2, (row) => [`${row.busy}/${row.slots}`, "plain"]),
    number("BEAT", 4, (row) => [short(age(heartbeatAgeMs(row.seen, nowMs))), row.state === "lost" ? "coral" : "soft"]),
    number("FAILED", 3, ({ jobsFailed }) => (jobsFailed === 0 ? ["–", "soft"] : [count(jobsFailed), "coral"])),
    number("DONE", 6, ({ jobsDone }) => [count(jobsDone), "plain"]),
    number("LAG", 7, (row) => [
      row.loopLagMs < 1 ? "–" : short(duration(row.loopLagMs)),
      row.marks.includes("lagging") ? "amber" : "soft",
    ]),
    { title: "HOST", width: host, rank: 8, cell: (row) => hostCell(row, host) },
  ];
  return new TopTable(table, columns);
}

const NUMBER_WIDTH = 7;

/** A time that fits a number's column: "7 min 12 s" is "7 min" there. */
function short(time: string): string {
  return time.length <= NUMBER_WIDTH ? time : time.split(" ").slice(0, 2).join(" ");
}

function stateCell(row: WorkerRow): Line {
  const [sign, word, tone] = lookOf(row);
  return [span(`${sign} ${fit(word, 8)}`, tone)];
}

function slotsCell(row: WorkerRow, width: number): Line {
  const [busy, free] = slotCells(row.busy, row.slots, width);
  return [span(busy, lookOf(row)[2]), span(free, "soft")];
}

/** What is wrong stands before the host's end: a long host name gives way. */
function hostCell({ host, marks }: WorkerRow, width: number): Line {
  const wrong = marks.length > 0 ? `  ${marks.join(", ")}` : "";
  const room = width - [...wrong].length;
  if (room < 4) return wholeSpans([span(wrong.trim(), "coral")], width);
  return [span([...host].length > room ? fit(host, room) : host, "soft"), span(wrong, "coral")];
}

/** A conflict stands where the state does: it is the worse news, and there is always room for it. */
function lookOf(row: WorkerRow): readonly [sign: string, word: string, tone: Tone] {
  if (row.marks.includes("conflict") && row.state !== "lost") return ["!", "conflict", "coral"];
  const [sign, tone] = LOOKS[row.state];
  return [sign, row.state, tone];
}

/**
 * Up to LAG the columns but WORKER, POOL and SLOTS take 61 characters with their gaps; a host gets what is left. Names have
 * 12 at least, and what is to spare comes to them before it comes to bars.
 */
function widths(columns: number, rows: readonly WorkerRow[]): Record<"name" | "pool" | "slots" | "host", number> {
  const hasPools = new Set(rows.map(({ pool }) => pool)).size > 1;
  const gapped = hasPools ? 14 : 0;
  let spare = Math.max(0, columns - 99 - gapped);
  const nameWidth = (of: (row: WorkerRow) => string): number => {
    const more = Math.min(Math.floor(spare / 2), Math.max(0, longest(rows.map(of)) - 12));
    spare -= more;
    return 12 + more;
  };
  const name = nameWidth(({ worker }) => worker);
  const pool = hasPools ? nameWidth((row) => row.pool) : 0;
  const slots = columns < 83 + gapped ? 8 : 12 + Math.min(36, Math.floor(spare / 2));
  return { name, pool, slots, host: Math.max(14, columns - (61 + name + slots + (hasPools ? pool + 2 : 0))) };
}
