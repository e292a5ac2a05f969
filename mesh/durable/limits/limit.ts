/**
 * The limits of one pool's stored jobs: what they say, and how they are kept. Pure.
 *
 * A limit is for the whole pool ("pool"), for every key for itself ("each-key"), or for
 * one key ("key:tenant-7"). That of one key takes the place of "each-key". All limits of a
 * pool are one message of the stream, so that every manager has all of them or none.
 */
import { PoolError } from "../../errors.js";
import { parseJson } from "../../job/codec.js";
import { checkConcurrencyKey } from "./concurrency-key.js";

/** How many jobs may run at once, how many may start in a time, or both. */
export interface Limit {
  /** "pool", "each-key", or "key:" and a key. */
  readonly target: string;
  /** Jobs that may be at workers at once, 1 to 1,000; undefined for no such limit. */
  readonly running?: number;
  /** Jobs that may start within `perMs`, 1 to 100,000; undefined for no such limit. */
  readonly starts?: number;
  /** The window of `starts`, 100 to 86,400,000 milliseconds; default 1,000. */
  readonly perMs?: number;
}

/** The limits of a pool by target. */
export type Limits = ReadonlyMap<string, Limit>;

export const MAX_LIMITS = 500;
export const MAX_RUNNING = 1_000;
export const MAX_STARTS = 100_000;
export const MIN_PER_MS = 100;
export const MAX_PER_MS = 86_400_000;
const KEY = "key:";

/** @throws PoolError `invalid_argument` */
export function checkLimit({ target, running, starts, perMs }: { readonly [K in keyof Limit]?: unknown }): Limit {
  if (running === undefined && starts === undefined) throw refused("running", "say running, starts, or both");
  if (perMs !== undefined && starts === undefined) throw refused("perMs", "it is the window of starts: say starts");
  return {
    target: checkTarget(target),
    ...(running === undefined ? {} : { running: whole("running", running, 1, MAX_RUNNING) }),
    ...(starts === undefined ? {} : { starts: whole("starts", starts, 1, MAX_STARTS) }),
    ...(starts === undefined ? {} : { perMs: whole("perMs", perMs ?? 1_000, MIN_PER_MS, MAX_PER_MS) }),
  };
}

/** @throws PoolError `invalid_argument` */
export function checkTarget(target: unknown): string {
  if (target === "pool" || target === "each-key") return target;
  if (typeof target === "string" && target.startsWith(KEY)) {
    return KEY + checkConcurrencyKey(target.slice(KEY.length), "target");
  }
  throw refused("target", 'use "pool", "each-key", or "key:" and a key');
}

/** The limit of one key; undefined when it has none. */
export function limitOfKey(limits: Limits, key: string): Limit | undefined {
  return limits.get(KEY + key) ?? limits.get("each-key");
}

/** By target. */
export function encodeLimits(limits: Limits): Uint8Array {
  return Buffer.from(JSON.stringify([...limits.values()]));
}

/** Drops what is none: it cannot be enforced. */
export function decodeLimits(payload: Uint8Array): Limits {
  const limits = new Map<string, Limit>();
  try {
    const said = parseJson(Buffer.from(payload).toString());
    for (const each of Array.isArray(said) ? said : []) {
      const limit = checkLimit(each as Limit);
      limits.set(limit.target, limit);
    }
  } catch {
    // A message that no manager wrote. What could be read of it holds.
  }
  return limits;
}

function whole(field: string, value: unknown, min: number, max: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
  throw refused(field, `use a whole number from ${min} to ${max}`);
}

function refused(field: string, why: string): PoolError {
  return new PoolError("invalid_argument", `${field}: ${why}`, { field });
}
