/**
 * Waiting in tests: for a condition, with a limit, never for a time.
 */
import { setTimeout as delay } from "node:timers/promises";

/** What to wait for, and how long. */
export interface WaitOptions {
  /** Default 30,000 milliseconds: so much that a slow machine ends no wait that would end. */
  limitMs?: number;
  /** Default 10 milliseconds. */
  pollMs?: number;
  /** What is awaited, for the message of the failure. */
  what?: string;
}

/**
 * Calls `check` until it returns something else than undefined, null or false;
 * returns that. A `check` that throws is asked again: its last error is the cause of the failure.
 *
 * @throws Error when the limit is over
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  options: WaitOptions = {},
): Promise<NonNullable<Exclude<T, false>>> {
  const limitMs = options.limitMs ?? 30_000;
  const end = performance.now() + limitMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await check();
      cause = undefined;
      if (value !== undefined && value !== null && value !== false) return value as NonNullable<Exclude<T, false>>;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= end) break;
    await delay(options.pollMs ?? 10);
  }
  const what = options.what ?? "the condition";
  throw new Error(`not within ${limitMs} ms: ${what}${cause instanceof Error ? ` (${cause.message})` : ""}`, { cause });
}

/**
 * The value of `promise`, with a limit.
 *
 * @throws Error when the limit is over
 */
export async function within<T>(promise: Promise<T>, options: WaitOptions = {}): Promise<T> {
  const limitMs = options.limitMs ?? 30_000;
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    const what = options.what ?? "the promise";
    timer = setTimeout(() => reject(new Error(`not within ${limitMs} ms: ${what}`)), limitMs);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** How a promise has ended so far: looks once, after what is due has run. */
export async function settled(promise: Promise<unknown>): Promise<"pending" | "fulfilled" | "rejected"> {
  const turn = new Promise<"pending">((resolve) => setImmediate(resolve, "pending"));
  const end = promise.then(
    () => "fulfilled" as const,
    () => "rejected" as const,
  );
  return Promise.race([end, turn]);
}

/** A promise and its two ends, to hold a handler of a test where it is. */
export function gate<T = void>(): { promise: Promise<T>; open: (value: T) => void; fail: (error: Error) => void } {
  let open!: (value: T) => void;
  let fail!: (error: Error) => void;
  const promise = new Promise<T>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { promise, open, fail };
}

/** How long a test gives a handler file to load, in milliseconds: on a full machine the default is not always enough. */
export const loadTimeoutMs = 60_000;
