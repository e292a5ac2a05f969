/** Every worker, live, with a row for each. Retries and back-pressure are as in watch-capacity.ts. */
import { mergeWorkers, NO_WORKERS, type WorkersData } from "./merge-workers.js";
import { type WatchCapacityOptions, watchMeter } from "./watch-capacity.js";
import type { Watched } from "./watch-stream.js";

/** All workers, and the connection to the meter at that moment. */
export type WorkersView = Watched<WorkersData>;

/**
 * Yields all workers at once, at every change, and whenever the connection
 * changes. Options and promises are those of `watchCapacity`.
 *
 * @throws PoolError `invalid_argument` for a bad pool name, at once; otherwise only
 * errors that another attempt cannot help
 */
export function watchWorkers(options: WatchCapacityOptions = {}): AsyncGenerator<WorkersView, void> {
  return watchMeter(options, (client, request) => ({
    empty: NO_WORKERS,
    open: (signal) => client.watchWorkers(request, { signal }),
    merge: mergeWorkers,
    freshnessOf: (data) => data.freshness,
  }));
}
