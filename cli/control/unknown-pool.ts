/** The one text for a pool that nobody serves, with the name that was perhaps meant. Pure. */
import { PoolError } from "../../mesh/errors.js";
import { nearest } from "../../mesh/process/config.js";
import { compareNames } from "../../mesh/wire/worker-selection.js";

/** How many pools are named at most. */
const NAMED = 8;

/**
 * The error of a command for a pool without workers.
 *
 * @param pools those that have some
 */
export function unknownPool(pool: string, pools: readonly string[]): PoolError {
  return new PoolError("unknown_pool", `no worker of pool ${pool} answers${hint(pool, pools)}`, { field: "pool" });
}

function hint(pool: string, pools: readonly string[]): string {
  if (pools.length === 0) return ", and none of any other pool";
  const sorted = [...pools].sort(compareNames);
  const more = sorted.length > NAMED ? `, and ${sorted.length - NAMED} more` : "";
  const near = nearest(pool, sorted);
  const named = `pools with workers: ${sorted.slice(0, NAMED).join(", ")}${more}`;
  return near === undefined ? `; ${named}` : `; did you mean ${near}? (${named})`;
}
