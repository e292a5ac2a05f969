/** One pool as a line. Pure. */

import { count, duration, percent, rate } from "../../browser/format.js";
import { plainText } from "../../browser/plain-text.js";
import type { PoolCapacity } from "../../browser.js";
import { levelBar } from "./bar.js";
import { fit, type Line, span, type Tone } from "./line.js";

/** The head of the pools' table. */
export function poolHead(columns: number): Line {
  const { name, bar, wide } = widths(columns);
  const numbers = [fit("BUSY", 11, "right"), fit("JOBS/S", 7, "right"), fit("PARKED", 7, "right")];
  if (wide) numbers.push(fit("OLDEST", 10, "right"));
  return [span([fit("POOL", name), fit("UTILIZATION", bar + 6), ...numbers, "WORKERS"].join("  "), "soft")];
}

/** A pool; the one without a name is all of them. */
export function poolLine(pool: PoolCapacity, columns: number): Line {
  const { name, bar, wide } = widths(columns);
  const none = pool.slots === 0;
  const [filled, rest] = levelBar(none ? 0 : pool.utilization, bar);
  const parked: Tone = pool.parked > 0 ? "amber" : "soft";
  const oldest = wide ? fit(pool.parked > 0 ? duration(pool.oldestWaitMs) : "–", 12, "right") : "";
  return [
    span(`${fit(pool.pool === "" ? "all pools" : plainText(pool.pool), name)}  `, "strong"),
    span(filled, "water"),
    span(rest, "soft"),
    span(fit(none ? "none" : percent(pool.utilization), 6, "right"), "strong"),
    span(fit(`${count(pool.busy)}/${count(pool.slots)}`, 13, "right")),
    span(fit(rate(pool.jobsPerSecond), 9, "right")),
    span(fit(count(pool.parked), 9, "right") + oldest, parked),
    ...stateSpans(pool),
  ];
}

/** One pool as a line for a pipe: `name key=value …`, the same keys every time. */
export function plainPoolLine(pool: PoolCapacity): string {
  const states = pool.workers;
  const fields = [
    `utilization=${pool.utilization.toFixed(3)}`,
    `busy=${pool.busy}`,
    `slots=${pool.slots}`,
    `jobs_per_second=${pool.jobsPerSecond.toFixed(1)}`,
    `parked=${pool.parked}`,
    `oldest_wait_ms=${Math.round(pool.oldestWaitMs)}`,
    `ready=${states?.ready ?? 0}`,
    `paused=${states?.paused ?? 0}`,
    `draining=${states?.draining ?? 0}`,
    `lost=${states?.lost ?? 0}`,
  ];
  return `${pool.pool === "" ? "*" : plainText(pool.pool)} ${fields.join(" ")}`;
}

function stateSpans(pool: PoolCapacity): Line {
  const counts = pool.workers;
  const all: [number, string, Tone][] = [
    [counts?.lost ?? 0, "lost", "coral"],
    [pool.conflicts, "in conflict", "coral"],
    [counts?.draining ?? 0, "draining", "amber"],
    [counts?.paused ?? 0, "paused", "iris"],
    [counts?.starting ?? 0, "starting", "soft"],
    [counts?.ready ?? 0, "ready", "plain"],
  ];
  return all.filter(([number]) => number > 0).map(([number, word, tone]) => span(`  ${number} ${word}`, tone));
}

/** What does not depend on the width takes 48 columns, and the states some 30 more. */
function widths(columns: number): { name: number; bar: number; wide: boolean } {
  const wide = columns >= 110;
  const spare = Math.max(0, columns - 102 - (wide ? 12 : 0));
  return { name: 12 + Math.min(12, Math.floor(spare / 3)), bar: 12 + Math.min(28, Math.floor(spare / 2)), wide };
}
