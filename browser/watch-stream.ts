/**
 * Follows a stream of the meter until the caller ends it.
 *
 * Decided here: retries, how long silence may last, and back-pressure: a slow
 * reader slows the meter down, which then sends only the newest values. Not decided
 * here: what the messages mean.
 */
import type { Freshness } from "../gen/poolmesh/v1/meter_pb.js";
import type { PoolError } from "../mesh/errors.js";
import { Attempt } from "./attempt.js";
import { Backoff, type BackoffOptions } from "./backoff.js";
import { type Connection, connectionOf } from "./connection.js";

/** How long a stream may be silent; the meter says something every 15 seconds. */
export const SILENCE_MS = 35_000;

/** The options of every watcher. */
export interface WatchOptions {
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal;
  /** Hears every change of the connection, also while the reader is busy. */
  readonly onState?: (connection: Connection) => void;
  /** Waits between attempts; default 250 ms to 10 s. */
  readonly backoff?: BackoffOptions;
  /** Silence that counts as a failure, in milliseconds; default 35,000. */
  readonly silenceMs?: number;
}

/** One kind of stream. */
export interface StreamSource<M, D> {
  readonly empty: D;
  readonly open: (signal: AbortSignal) => AsyncIterable<M>;
  readonly merge: (data: D, message: M, nowMs: number) => D;
  readonly freshnessOf: (data: D) => Freshness | undefined;
}

/** Data, and the connection to the meter at that moment. */
export type Watched<D> = D & { readonly connection: Connection };

/**
 * Yields at every message and at every change of the connection.
 *
 * @throws PoolError when another attempt cannot help: `invalid_argument`,
 * `unauthenticated`, `permission_denied`
 */
export async function* watchStream<M, D extends object>(
  source: StreamSource<M, D>,
  options: WatchOptions = {},
): AsyncGenerator<Watched<D>, void> {
  const backoff = new Backoff(options.backoff);
  const wanted = options.signal ?? new AbortController().signal;
  const say = (data: D, connection: Connection): Watched<D> => {
    options.onState?.(connection);
    return { ...data, connection };
  };
  let data = source.empty;
  while (!wanted.aborted) {
    yield say(data, { state: "connecting", attempt: backoff.failures + 1 });
    const attempt = new Attempt(source.open, wanted, options.silenceMs ?? SILENCE_MS);
    try {
      for await (const message of attempt.messages()) {
        data = source.merge(data, message, performance.now());
        yield say(data, connectionOf(source.freshnessOf(data)));
      }
    } finally {
      attempt.end();
    }
    if (wanted.aborted) return;
    const error = attempt.error;
    const hopeless = isHopeless(error);
    const waitMs = backoff.failed(attempt.livedMs, Math.random());
    const retryInMs = hopeless ? Number.POSITIVE_INFINITY : waitMs;
    yield say(data, { state: "disconnected", attempt: backoff.failures, retryInMs, error });
    if (hopeless) throw error;
    await pause(retryInMs, wanted);
  }
}

function isHopeless(error: PoolError): boolean {
  return ["invalid_argument", "unauthenticated", "permission_denied"].includes(error.reason);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
  });
}
