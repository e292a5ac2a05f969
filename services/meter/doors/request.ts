/** Checks the filters and paces of requests. Pure. */
import { PoolError } from "../../../mesh/errors.js";
import { checkName } from "../../../mesh/wire/subjects.js";
import type { Pace } from "../streams/reader.js";
import type { Filter } from "../streams/view.js";

/** Every stream sends a message at least this often, in milliseconds. */
const MAX_SILENCE_MS = 15_000;
/** When a keep-alive is sent: early enough to arrive in time, in milliseconds. */
export const KEEP_ALIVE_MS = MAX_SILENCE_MS - 500;
const MAX_LABELS = 32;
const MAX_LABEL_LENGTH = 63;

/** @throws PoolError `invalid_argument`, field "pool" or "labels" */
export function toFilter(request: { readonly pool: string; readonly labels: Record<string, string> }): Filter {
  if (request.pool !== "") checkName("pool", request.pool);
  const entries = Object.entries(request.labels);
  const tooLong = entries.some(([key, value]) => key.length > MAX_LABEL_LENGTH || value.length > MAX_LABEL_LENGTH);
  if (tooLong || entries.length > MAX_LABELS) {
    const text = `labels: at most ${MAX_LABELS}, of ${MAX_LABEL_LENGTH} characters each`;
    throw new PoolError("invalid_argument", text, { field: "labels" });
  }
  return { pool: request.pool, labels: request.labels };
}

/** @throws PoolError `invalid_argument`, field "min_interval_ms" */
export function toPace(minIntervalMs: number, defaultMs: number, keepAliveMs: number = KEEP_ALIVE_MS): Pace {
  if (minIntervalMs > MAX_SILENCE_MS) {
    const text = `min_interval_ms: at most ${MAX_SILENCE_MS}, since something flows at least that often`;
    throw new PoolError("invalid_argument", text, { field: "min_interval_ms" });
  }
  return { minIntervalMs: minIntervalMs || defaultMs, keepAliveMs };
}
