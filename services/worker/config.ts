/** What a worker can be told by flags and environment, and how that becomes its options. */

import { PoolError } from "../../mesh/errors.js";
import { edgeConfig } from "../../mesh/http/edge-options.js";
import { toBusOptions } from "../../mesh/process/bus-config.js";
import type { ConfigOf } from "../../mesh/process/config.js";
import type { Logger } from "../../mesh/process/log.js";
import { ACCESS_OPTIONS, BUS_OPTIONS, pick } from "../../mesh/process/options.js";
import type { WorkerOptions } from "./worker-options.js";

/** The options of the worker program. */
export const WORKER_CONFIG = pick([
  ...BUS_OPTIONS,
  "pool",
  "id",
  "slots",
  "handler",
  "exec",
  "isolation",
  "recycleAfter",
  "loadTimeoutMs",
  "labels",
  "heartbeatIntervalMs",
  "coalesceMs",
  "acceptAfterMs",
  "abortGraceMs",
  "graceMs",
  "metricsListen",
  "largePayloads",
  ...ACCESS_OPTIONS,
]);

/** A worker program's configuration. */
export type WorkerConfig = ConfigOf<typeof WORKER_CONFIG>;

/**
 * A configuration as options.
 *
 * @throws PoolError `invalid_argument` when the pool or what to run is missing
 */
export function toWorkerOptions(config: WorkerConfig, log: Logger): WorkerOptions {
  const { pool, handler, exec, id, isolation, metricsListen } = config;
  if (pool === undefined) throw missing("pool", "--pool NAME");
  if ((handler === undefined) === (exec === undefined)) throw missing("handler", "either --handler FILE or --exec CMD");
  return {
    ...toBusOptions(config),
    waitOnFirstConnect: true,
    ...pickDefined(config, ["slots", "labels", "prefix"]),
    ...pickDefined(config, ["recycleAfter", "loadTimeoutMs"]),
    ...pickDefined(config, ["heartbeatIntervalMs", "coalesceMs", "acceptAfterMs", "abortGraceMs", "graceMs"]),
    pool,
    ...(id === undefined ? {} : { id }),
    ...(exec === undefined ? {} : { exec }),
    ...(handler === undefined ? {} : { handlerFile: handler, isolation }),
    ...(config.largePayloads ? { largePayloads: true } : {}),
    ...(metricsListen === undefined ? {} : { metrics: edgeConfig(config, metricsListen) }),
    log,
  };
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

function pickDefined<T extends object, K extends keyof T>(from: T, names: readonly K[]): Partial<Defined<Pick<T, K>>> {
  const entries = names.map((each) => [each, from[each]] as const).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Partial<Defined<Pick<T, K>>>;
}

function missing(field: string, what: string): PoolError {
  return new PoolError("invalid_argument", `${field}: say ${what}`, { field });
}
