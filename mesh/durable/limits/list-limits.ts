/** Reads the limits of a pool from their stream. */
import type { DurableNames } from "../names.js";
import type { LaneStore } from "../store.js";
import { decodeLimits, type Limit } from "./limit.js";

/** By target; none when no limit was ever set. @throws PoolError */
export async function listLimits(
  { names, store }: { readonly names: DurableNames; readonly store: LaneStore },
  pool: string,
): Promise<Limit[]> {
  const stored = await store.last(names.limitsStream, names.limit(pool, names.limitsToken));
  if (stored === undefined) return [];
  return [...decodeLimits(stored.payload).values()].sort((a, b) => (a.target < b.target ? -1 : 1));
}
