/**
 * The capacity of pools, live: in a browser or in Node 20 and later.
 *
 * Decided here: what is asked of the meter. watch-stream.ts follows the stream,
 * and merge-capacity.ts adds up its messages.
 */
import { checkName } from "../mesh/wire/subjects.js";
import { type CapacityData, mergeCapacity, NO_CAPACITY } from "./merge-capacity.js";
import { createMeterClient, type MeterAddress } from "./meter-client.js";
import { type StreamSource, type Watched, type WatchOptions, watchStream } from "./watch-stream.js";

/** The options of {@link watchCapacity}; all of them are optional. */
export interface WatchCapacityOptions extends MeterAddress, WatchOptions {
  /** Only this pool; default all. */
  readonly pool?: string;
  /** Count only workers that have all of these labels. */
  readonly labels?: Readonly<Record<string, string>>;
  /** At most one message in this time, in milliseconds; default the meter's (50). */
  readonly minIntervalMs?: number;
}

/** The capacity of all pools, and the connection to the meter at that moment. */
export type CapacityView = Watched<CapacityData>;

/**
 * Yields the capacity at once, at every change, and whenever the connection
 * changes. Reconnects by itself with bounded, jittered waits; after a reconnect
 * the view starts from a fresh snapshot. A slow reader gets the newest view,
 * never a backlog. Ends when `signal` aborts or the loop is left.
 *
 * ```ts
 * for await (const { total, connection } of watchCapacity({ baseUrl: "http://127.0.0.1:8090" })) {
 *   render(connection.state, total?.utilization ?? 1);
 * }
 * ```
 *
 * @throws PoolError `invalid_argument` for a bad pool name, at once; otherwise only
 * errors that another attempt cannot help
 */
export function watchCapacity(options: WatchCapacityOptions = {}): AsyncGenerator<CapacityView, void> {
  return watchMeter(options, (client, request) => ({
    empty: NO_CAPACITY,
    open: (signal) => client.watchCapacity(request, { signal }),
    merge: mergeCapacity,
    freshnessOf: (data) => data.freshness,
  }));
}

/** What a stream of the meter is asked for. */
interface MeterRequest {
  readonly pool: string;
  readonly labels: Record<string, string>;
  readonly minIntervalMs: number;
}

/**
 * Follows one of the meter's streams.
 *
 * @param source made of a client and of what the options ask for
 * @throws PoolError `invalid_argument` for a bad pool name, at once
 */
export function watchMeter<M, D extends object>(
  options: WatchCapacityOptions,
  source: (client: ReturnType<typeof createMeterClient>, request: MeterRequest) => StreamSource<M, D>,
): AsyncGenerator<Watched<D>, void> {
  const { pool = "", labels, minIntervalMs = 0 } = options;
  if (options.pool !== undefined) checkName("pool", pool);
  return watchStream(source(createMeterClient(options), { pool, labels: { ...labels }, minIntervalMs }), options);
}
