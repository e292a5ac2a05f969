/** One pool as a line. Pure. */

import { count, duration, percent, rate } from "../../browser/format.js";
import { poolWarnings, severity } from "../../browser/pool-health.js";
import type { PoolCapacity } from "../../browser.js";
import { plainText } from "../../mesh/plain-text.js";
import { levelBar } from "./bar.js";
import { type TopColumn, TopTable, wholeSpans } from "./columns.js";
import { fit, type Line, longest, type Span, span, type Tone } from "./line.js";

/** The pools' table for one width of the terminal; the pool without a name is all of them. */
export function poolTable(columns: number, pools: readonly PoolCapacity[]): TopTable<PoolCapacity> {
  const { name, bar, states } = widths(columns, longest(pools.map((pool) => `! ${plainText(pool.pool)}`)));
  const number = (title: string, width: number, rank: number, of: (pool: PoolCapacity) => Span) => {
    const cell = (pool: PoolCapacity): Line => [of(pool)];
    return { title, width, rank, align: "right", cell } as const;
  };
  const table: TopColumn<PoolCapacity>[] = [
    { title: "POOL", width: name, rank: 0, cell: (pool) => nameCell(pool, name) },
    { title: "UTILIZATION", width: bar + 6, rank: 1, cell: (pool) => utilization(pool, bar) },
    number("BUSY", 11, 4, ({ busy, slots }) => span(fit(`${count(busy)}/${count(slots)}`, 11, "right"))),
    number("JOBS/S", 7, 5, ({ jobsPerSecond }) => span(fit(rate(jobsPerSecond), 7, "right"))),
    number("PARKED", 7, 2, ({ parked }) => span(fit(count(parked), 7, "right"), parked > 0 ? "amber" : "soft")),
    number("OLDEST", 10, 6, ({ parked, oldestWaitMs }) =>
      parked > 0 ? span(fit(duration(oldestWaitMs), 10, "right"), "amber") : span("–", "soft"),
    ),
    { title: "WORKERS", width: states, rank: 3, cell: (pool) => wholeSpans(stateSpans(pool), states) },
  ];
  return new TopTable(table, columns);
}

/** A pool that fails its callers has a sign, and one that wants a look a colour. */
function nameCell(pool: PoolCapacity, width: number): Line {
  const name = pool.pool === "" ? "all pools" : plainText(pool.pool);
  const rank = pool.pool === "" ? 0 : severity(pool);
  if (rank === 3) return [span(fit(`! ${name}`, width), "coral")];
  return [span(fit(name, width), rank === 2 ? "amber" : "strong")];
}

function utilization(pool: PoolCapacity, bar: number): Line {
  const none = pool.slots === 0;
  const [filled, rest] = levelBar(none ? 0 : pool.utilization, bar);
  const share = fit(none ? "none" : percent(pool.utilization), 6, "right");
  return [span(filled, "water"), span(rest, "soft"), span(share, "strong")];
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
    `managers=${pool.managers}`,
    `ended_last_minute=${pool.endedLastMinute}`,
    `failed_last_minute=${pool.failedLastMinute}`,
  ];
  return `${pool.pool === "" ? "*" : plainText(pool.pool)} ${fields.join(" ")}`;
}

/** What is wrong stands before how many workers are in which state. */
function stateSpans(pool: PoolCapacity): Line {
  const counts = pool.workers;
  // Parked jobs and their number have a column.
  const wrong = poolWarnings(pool).filter(({ kind }) => kind !== "parked");
  const rest: [number, string, Tone][] = [
    [counts?.paused ?? 0, "paused", "iris"],
    [counts?.starting ?? 0, "starting", "soft"],
    [counts?.ready ?? 0, "ready", "plain"],
  ];
  const states = rest.filter(([number]) => number > 0).map(([number, word, tone]) => span(`${number} ${word}`, tone));
  return [...wrong.map(({ short, tone }) => span(short, tone)), ...states];
}

/**
 * Without the bar the columns but OLDEST and their gaps take 53 characters; the states get 10 at least. A name that is
 * longer than 12 characters gets half of what is over 90 columns, before the bar grows.
 */
function widths(columns: number, longestName: number): { name: number; bar: number; states: number } {
  const name = 12 + Math.max(0, Math.min(longestName - 12, Math.floor((columns - 90) / 2)));
  const spare = Math.max(0, columns - 102 - name);
  const bar = Math.min(12, Math.max(5, columns - 64)) + Math.min(28, Math.floor(spare / 2));
  const oldest = columns >= 110 ? 12 : 0;
  return { name, bar, states: Math.max(10, columns - (41 + name + bar + oldest)) };
}
