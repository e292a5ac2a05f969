/**
 * Which jobs of one limit may start now. Pure.
 *
 * A limit has one record in a stream (record.ts). Whoever changes it says which
 * version it has read, and the stream refuses every other. So leave is given once.
 *
 * Decided here: a job keeps its leave whichever manager has it, until somebody has
 * seen it end. A manager leaves a place to another one whose job was stored earlier. Starts are
 * counted in slices of the window; a slice counts until all of it has left the window, so no window has more.
 */

import type { Limit } from "../../../../mesh/durable/limits/limit.js";
import { deliveriesOf, type Leave, type LimitRecord, SLICES, sliceOf } from "./record.js";

/** Managers of one record that are remembered. */
const MAX_MANAGERS = 64;

/** What one manager wants. */
export interface Wish {
  /** This manager's id. */
  readonly manager: string;
  readonly limit: Limit | undefined;
  /** Its jobs that wait: how often each was delivered, by sequence. */
  readonly waiting: ReadonlyMap<number, number>;
  /** Jobs that have ended, and the delivery that did, by sequence. */
  readonly ended: ReadonlyMap<number, number>;
  /** The earliest that it may be by the broker's time, milliseconds since the epoch; undefined when nobody knows. */
  readonly nowMs: number | undefined;
  /** The record has not changed for a while: whoever is before this manager does not come. */
  readonly mayPass: boolean;
}

/** What the record becomes. */
export interface Plan {
  readonly record: LimitRecord;
  /** Sequences that have leave, once the record is stored. */
  readonly granted: readonly number[];
  /** Those among them that had leave at another delivery. */
  readonly takenOver: ReadonlySet<number>;
  readonly isChanged: boolean;
}

/** @param before with its new starts dated, as far as it is known when it was stored */
export function plan(before: LimitRecord, wish: Wish): Plan {
  const { limit, manager } = wish;
  const goOn = before.running.filter((leave) => !hasEnded(leave, wish));
  const running = new Map(goOn.map((leave) => [leave[0], leave]));
  const mine = deliveriesOf(before.given[manager] ?? []);
  const perMs = limit?.perMs ?? before.perMs;
  const { starts, undated } = startsNow(before, perMs, wish.nowMs);
  const others = Object.entries(before.waiting).filter(([id]) => id !== manager);
  const first = Math.min(...others.map(([, sequence]) => sequence));
  const granted: number[] = [];
  const fresh: Leave[] = [];
  const left: number[] = [];
  const takenOver = new Set<number>();
  let passed = false;
  let room = limit?.starts === undefined ? Number.POSITIVE_INFINITY : limit.starts - sum(starts) - undated;
  for (const [sequence, deliveries] of [...wish.waiting].sort(([a], [b]) => a - b)) {
    const known = running.get(sequence);
    if (limit === undefined || known !== undefined || mine.get(sequence) === deliveries) {
      if (limit !== undefined && known !== undefined && !isHeld(known, deliveries, manager)) {
        running.set(sequence, [sequence, deliveries, manager]);
        takenOver.add(sequence);
      }
      granted.push(sequence);
      continue;
    }
    const isMyTurn = sequence < first || wish.mayPass;
    if (!isMyTurn || room <= 0 || running.size >= (limit.running ?? Number.POSITIVE_INFINITY)) {
      left.push(sequence);
      continue;
    }
    if (sequence > first) passed = true;
    room -= 1;
    if (limit.running !== undefined) running.set(sequence, [sequence, deliveries]);
    fresh.push([sequence, deliveries]);
    granted.push(sequence);
  }
  const waiting = Object.fromEntries(passed ? [] : others.slice(0, MAX_MANAGERS - 1));
  if (left[0] !== undefined) waiting[manager] = left[0];
  const isTimed = limit?.starts !== undefined;
  const record = {
    running: [...running.values()],
    starts,
    fresh: undated + (isTimed ? fresh.length : 0),
    perMs,
    given: isTimed && limit.running === undefined ? givenNow(before, manager, fresh) : {},
    waiting,
  };
  const isChanged =
    running.size !== before.running.length ||
    fresh.length > 0 ||
    takenOver.size > 0 ||
    undated > before.fresh ||
    left.length > 0 !== manager in before.waiting ||
    passed;
  return { record, granted, takenOver, isChanged };
}

/** A job that is not in its stream any more has ended whoever holds its leave. */
function hasEnded([sequence, deliveries, holder]: Leave, { ended, manager }: Wish): boolean {
  const last = ended.get(sequence) ?? 0;
  return last === Number.POSITIVE_INFINITY || (last >= deliveries && (holder === undefined || holder === manager));
}

function isHeld([, deliveries, holder]: Leave, wanted: number, manager: string): boolean {
  return deliveries === wanted && holder === manager;
}

interface Starts {
  readonly starts: readonly (readonly [number, number])[];
  /** Starts without a slice: they count as made when the record is stored. */
  readonly undated: number;
}

/**
 * Those that may still be in the window. Of another window only the sum is known to be right. So it is of slices that
 * lie more than a window ahead: a clock was wrong.
 */
function startsNow({ starts, fresh, perMs: before }: LimitRecord, perMs: number, nowMs: number | undefined): Starts {
  if (before !== perMs) return { starts: [], undated: fresh + sum(starts) };
  if (nowMs === undefined) return { starts, undated: fresh };
  const now = sliceOf(nowMs, perMs);
  const ahead = starts.filter(([slice]) => slice > now + SLICES);
  return {
    starts: starts.filter(([slice]) => slice >= now - SLICES && slice <= now + SLICES),
    undated: fresh + sum(ahead),
  };
}

/** What was given before stays until this manager gives leave again. */
function givenNow({ given }: LimitRecord, manager: string, fresh: readonly Leave[]): LimitRecord["given"] {
  if (fresh.length === 0) return given;
  const others = Object.entries(given).filter(([id]) => id !== manager);
  return Object.fromEntries([...others.slice(1 - MAX_MANAGERS), [manager, fresh]]);
}

function sum(slices: readonly (readonly [number, number])[]): number {
  return slices.reduce((all, [, count]) => all + count, 0);
}
