/** One worker as a line. Pure. */

import { age, count, duration } from "../../browser/format.js";
import type { StateWord, WorkerRow } from "../../browser/worker-row.js";
import { heartbeatAgeMs } from "../../browser.js";
import { slotCells } from "./bar.js";
import { fit, type Line, type Span, span, type Tone } from "./line.js";

const LOOKS: Readonly<Record<StateWord, readonly [sign: string, tone: Tone]>> = {
  ready: ["●", "water"],
  starting: ["◌", "soft"],
  paused: ["‖", "iris"],
  draining: ["▽", "amber"],
  stopped: ["□", "soft"],
  lost: ["✕", "coral"],
  unknown: ["?", "soft"],
};

/** The head of the workers' table; what is on the right is the first to go on a narrow terminal. */
export function workerHead(columns: number): Line {
  const { name, slots } = widths(columns);
  const numbers = [
    fit("BUSY", 7, "right"),
    fit("BEAT", 7, "right"),
    fit("FAILED", 7, "right"),
    fit("DONE", 7, "right"),
    fit("LAG", 7, "right"),
  ];
  return [span(["  STATE   ", fit("WORKER", name), fit("SLOTS", slots), ...numbers, "HOST"].join("  "), "soft")];
}

/** @param nowMs monotonic clock, in milliseconds */
export function workerLine(row: WorkerRow, columns: number, nowMs: number): Line {
  const { name, slots } = widths(columns);
  const [sign, word, tone] = lookOf(row);
  const [busy, free] = slotCells(row.busy, row.slots, slots);
  const blank = " ".repeat(Math.max(0, slots - [...busy].length - [...free].length));
  const number = (text: string, of: Tone): Span => span(fit(text, 9, "right"), of);
  return [
    span(`${sign} ${fit(word, 8)}  `, tone),
    span(`${fit(row.worker, name)}  `, "strong"),
    span(busy, tone),
    span(free + blank, "soft"),
    number(`${row.busy}/${row.slots}`, "plain"),
    number(age(heartbeatAgeMs(row.seen, nowMs)), row.state === "lost" ? "coral" : "soft"),
    number(row.jobsFailed === 0 ? "–" : count(row.jobsFailed), row.jobsFailed > 0 ? "coral" : "soft"),
    number(count(row.jobsDone), "plain"),
    number(row.loopLagMs < 1 ? "–" : duration(row.loopLagMs), row.marks.includes("lagging") ? "amber" : "soft"),
    span(`  ${row.host}`, "soft"),
    span(row.marks.length > 0 ? `  ${row.marks.join(", ")}` : "", "coral"),
  ];
}

/** A conflict stands where the state does: it is the worse news, and there is always room for it. */
function lookOf(row: WorkerRow): readonly [sign: string, word: string, tone: Tone] {
  if (row.marks.includes("conflict") && row.state !== "lost") return ["!", "conflict", "coral"];
  const [sign, tone] = LOOKS[row.state];
  return [sign, row.state, tone];
}

/** What does not depend on the width takes 61 columns, and a host some 14 more. */
function widths(columns: number): { name: number; slots: number } {
  const spare = Math.max(0, columns - 99);
  return { name: 12 + Math.min(16, Math.floor(spare / 3)), slots: 12 + Math.min(36, Math.floor(spare / 2)) };
}
