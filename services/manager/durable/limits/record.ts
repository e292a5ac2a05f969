/**
 * What is stored of one limit: who has leave to run, how many started of late, and who waits. Pure.
 *
 * Decided here: starts are dated by the broker. Whoever writes a record says how many starts are new in it, and
 * whoever reads it counts them in the slice of time in which the broker stored it. So no manager's clock counts.
 */
import { parseJson } from "../../../../mesh/job/codec.js";

/**
 * A job that has leave, and which of its deliveries has it. Another delivery takes the leave over, and then its
 * manager is named: deliveries alone do not tell it, because a broker that was killed counts some of them again. So the
 * word of an earlier delivery that the job has ended there, which may come late, takes nothing back.
 */
export type Leave = readonly [sequence: number, deliveries: number, holder?: string];

/** What is stored of one limit. */
export interface LimitRecord {
  /** Jobs that have leave to run. */
  readonly running: readonly Leave[];
  /** Starts by slice of the window, by the broker's time, oldest first. */
  readonly starts: readonly (readonly [slice: number, count: number])[];
  /** Starts that are dated by when this record was stored. */
  readonly fresh: number;
  /** The window that the slices are of, in milliseconds. */
  readonly perMs: number;
  /** What each manager has given leave to last, where `running` does not say it: its acknowledgement may be lost. */
  readonly given: Readonly<Record<string, readonly Leave[]>>;
  /** The earliest job that waits, by manager. */
  readonly waiting: Readonly<Record<string, number>>;
}

export const EMPTY_RECORD: LimitRecord = { running: [], starts: [], fresh: 0, perMs: 1_000, given: {}, waiting: {} };
/** Slices of a window. */
export const SLICES = 20;

/** Which delivery has leave, by sequence. */
export function deliveriesOf(leaves: readonly Leave[]): ReadonlyMap<number, number> {
  return new Map(leaves.map(([sequence, deliveries]) => [sequence, deliveries]));
}

/** The slice of an instant. @param atMs milliseconds since the epoch */
export function sliceOf(atMs: number, perMs: number): number {
  return Math.floor((atMs * SLICES) / perMs);
}

/** A record whose new starts have their date. @param storedAtMs milliseconds since the epoch; undefined when it is not known */
export function dated(record: LimitRecord, storedAtMs: number | undefined): LimitRecord {
  const { starts, fresh, perMs } = record;
  if (fresh === 0 || storedAtMs === undefined) return record;
  const [last, count] = starts.at(-1) ?? [Number.NEGATIVE_INFINITY, 0];
  const slice = Math.max(last, sliceOf(storedAtMs, perMs));
  const before = slice === last ? starts.slice(0, -1) : starts;
  return { ...record, fresh: 0, starts: [...before, [slice, fresh + (slice === last ? count : 0)]] };
}

/** Whether nothing of a dated record has to be remembered. @param nowMs by the broker's time; undefined when it is not known */
export function isOver({ running, starts, fresh, perMs, waiting }: LimitRecord, nowMs: number | undefined): boolean {
  const last = starts.at(-1)?.[0];
  const isQuiet = last === undefined || (nowMs !== undefined && last < sliceOf(nowMs, perMs) - SLICES);
  return running.length === 0 && fresh === 0 && isQuiet && Object.keys(waiting).length === 0;
}

/** A first delivery is written as its sequence alone. */
export function encodeRecord({ running, starts, fresh, perMs, given, waiting }: LimitRecord): Uint8Array {
  const isTimed = starts.length > 0 || fresh > 0;
  const said = {
    running: running.map(encodeLeave),
    ...(isTimed ? { starts, fresh, perMs } : {}),
    ...(Object.keys(given).length > 0 ? { given: mapValues(given, (leaves) => leaves.map(encodeLeave)) } : {}),
    waiting,
  };
  return Buffer.from(JSON.stringify(said));
}

/** What no manager wrote is an empty record: else its jobs would wait for ever. */
export function decodeRecord(payload: Uint8Array): LimitRecord {
  try {
    const said = parseJson(Buffer.from(payload).toString()) as Readonly<Record<string, unknown>>;
    const { running = [], starts = [], fresh = 0, perMs = 1_000, given = {}, waiting = {} } = said;
    if (!areSlices(starts) || !isWhole(fresh) || fresh < 0) return EMPTY_RECORD;
    if (typeof perMs !== "number" || !(perMs > 0) || !isObject(given) || !isObject(waiting)) return EMPTY_RECORD;
    if (!Object.values(waiting).every(isWhole)) return EMPTY_RECORD;
    return {
      running: decodeLeaves(running),
      starts,
      fresh,
      perMs,
      given: mapValues(given, decodeLeaves),
      waiting: waiting as Record<string, number>,
    };
  } catch {
    return EMPTY_RECORD;
  }
}

function encodeLeave(leave: Leave): number | Leave {
  const [sequence, deliveries, holder] = leave;
  return deliveries === 1 && holder === undefined ? sequence : leave;
}

/** @throws Error when it is none */
function decodeLeaves(said: unknown): Leave[] {
  if (!Array.isArray(said)) throw new Error("no leaves");
  return said.map((each: unknown): Leave => {
    const [sequence, deliveries, holder] = Array.isArray(each) ? (each as unknown[]) : [each, 1];
    if (!isWhole(sequence) || !isWhole(deliveries)) throw new Error("no leave");
    return typeof holder === "string" ? [sequence, deliveries, holder] : [sequence, deliveries];
  });
}

function areSlices(said: unknown): said is [number, number][] {
  return Array.isArray(said) && said.every((each) => Array.isArray(each) && each.length === 2 && each.every(isWhole));
}

function isWhole(said: unknown): said is number {
  return Number.isInteger(said);
}

function isObject(said: unknown): said is Readonly<Record<string, unknown>> {
  return typeof said === "object" && said !== null;
}

function mapValues<T, U>(from: Readonly<Record<string, T>>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(from).map(([name, value]) => [name, change(value)]));
}
