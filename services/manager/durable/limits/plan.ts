/**
 * Which jobs of one limit may start now. Pure.
 *
 * A limit has one record in a stream: the jobs that have leave to run, how many
 * started of late, and which managers have jobs that wait. Whoever changes it says which
 * version it has read, and the stream refuses every other. So leave is given once.
 *
 * Decided here: a job keeps its leave whichever manager has it, until somebody has
 * seen it end. A manager leaves a place to another one whose job was stored earlier. Starts are
 * counted in slices of the window; a slice counts until all of it has left the window, so no window has more.
 */

import type { Limit } from "../../../../mesh/durable/limits/limit.js";
import { parseJson } from "../../../../mesh/job/codec.js";

/** What is stored of one limit. */
export interface LimitRecord {
  /** Sequences of jobs that have leave to run. */
  readonly running: readonly number[];
  /** Starts by slice, oldest first. */
  readonly starts: readonly (readonly [slice: number, count: number])[];
  /** The window that the slices are of, in milliseconds. */
  readonly perMs: number;
  /** The earliest job that waits, by manager. */
  readonly waiting: Readonly<Record<string, number>>;
}

export const EMPTY_RECORD: LimitRecord = { running: [], starts: [], perMs: 1_000, waiting: {} };
/** Slices of a window. */
const SLICES = 20;
/** Managers of one record that are remembered as waiting. */
const MAX_WAITING = 64;

/** What one manager wants. */
export interface Wish {
  /** This manager's id. */
  readonly manager: string;
  readonly limit: Limit | undefined;
  /** Sequences of its jobs that wait. */
  readonly waiting: readonly number[];
  /** Sequences of jobs that have ended. */
  readonly ended: ReadonlySet<number>;
  /** Milliseconds since the epoch. */
  readonly wallNowMs: number;
  /** The record has not changed for a while: whoever is before this manager does not come. */
  readonly mayPass: boolean;
}

/** What the record becomes. */
export interface Plan {
  readonly record: LimitRecord;
  /** Sequences that have leave, once the record is stored. */
  readonly granted: readonly number[];
  readonly isChanged: boolean;
}

export function plan(before: LimitRecord, wish: Wish): Plan {
  const { limit, manager, ended } = wish;
  const running = new Set(before.running.filter((sequence) => !ended.has(sequence)));
  const perMs = limit?.perMs ?? before.perMs;
  const starts = slicesNow(before, perMs, wish.wallNowMs);
  const others = Object.entries(before.waiting).filter(([id]) => id !== manager);
  const first = Math.min(...others.map(([, sequence]) => sequence));
  const granted: number[] = [];
  const left: number[] = [];
  let passed = false;
  let room = limit?.starts === undefined ? Number.POSITIVE_INFINITY : limit.starts - sum(starts.slices);
  for (const sequence of [...wish.waiting].sort((a, b) => a - b)) {
    if (limit === undefined || running.has(sequence)) {
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
    if (limit.running !== undefined) running.add(sequence);
    if (limit.starts !== undefined) starts.count();
    granted.push(sequence);
  }
  const waiting = Object.fromEntries(passed ? [] : others.slice(0, MAX_WAITING - 1));
  if (left[0] !== undefined) waiting[manager] = left[0];
  const isChanged =
    running.size !== before.running.length ||
    granted.some((sequence) => limit !== undefined && !before.running.includes(sequence)) ||
    left.length > 0 !== manager in before.waiting ||
    passed;
  return { record: { running: [...running], starts: starts.slices, perMs, waiting }, granted, isChanged };
}

/** Whether nothing of it has to be remembered. @param wallNowMs milliseconds since the epoch */
export function isOver({ running, starts, perMs, waiting }: LimitRecord, wallNowMs: number): boolean {
  const last = starts.at(-1)?.[0] ?? Number.NEGATIVE_INFINITY;
  const isQuiet = last < sliceOf(wallNowMs, perMs) - SLICES;
  return running.length === 0 && isQuiet && Object.keys(waiting).length === 0;
}

export function encodeRecord({ running, starts, perMs, waiting }: LimitRecord): Uint8Array {
  return Buffer.from(JSON.stringify({ running, ...(starts.length > 0 ? { starts, perMs } : {}), waiting }));
}

/** What no manager wrote is an empty record: else its jobs would wait for ever. */
export function decodeRecord(payload: Uint8Array): LimitRecord {
  try {
    const said = parseJson(Buffer.from(payload).toString()) as Partial<LimitRecord>;
    const { running = [], starts = [], perMs = 1_000, waiting = {} } = said;
    const isOne =
      Array.isArray(running) && running.every(Number.isInteger) && Array.isArray(starts) && typeof perMs === "number";
    const areSlices = isOne && starts.every((each) => Array.isArray(each) && each.every(Number.isInteger));
    const areWaiting = typeof waiting === "object" && Object.values(waiting).every(Number.isInteger);
    return areSlices && areWaiting && perMs > 0 ? { running, starts, perMs, waiting } : EMPTY_RECORD;
  } catch {
    return EMPTY_RECORD;
  }
}

function sliceOf(atMs: number, perMs: number): number {
  return Math.floor((atMs * SLICES) / perMs);
}

interface Slices {
  readonly slices: [number, number][];
  readonly count: () => void;
}

/** Those that may still be in the window. A clock that is behind counts in the latest slice. */
function slicesNow({ starts, perMs: before }: LimitRecord, perMs: number, wallNowMs: number): Slices {
  const wanted = sliceOf(wallNowMs, perMs);
  // Of another window only the sum is known to be right: it counts as now.
  const total = starts.reduce((all, [, count]) => all + count, 0);
  const same: [number, number][] = starts.map(([slice, count]) => [slice, count]);
  const known: [number, number][] = before === perMs ? same : total > 0 ? [[wanted, total]] : [];
  const now = Math.max(wanted, known.at(-1)?.[0] ?? wanted);
  const slices = known.filter(([slice]) => slice >= now - SLICES);
  const count = (): void => {
    const last = slices.at(-1);
    if (last?.[0] === now) last[1] += 1;
    else slices.push([now, 1]);
  };
  return { slices, count };
}

function sum(slices: readonly (readonly [number, number])[]): number {
  return slices.reduce((all, [, count]) => all + count, 0);
}
