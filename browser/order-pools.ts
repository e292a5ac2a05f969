/**
 * The order of pools: the hottest first, and yet at rest while somebody reads it. Pure.
 *
 * Pools that need a look come first, then the fuller ones, in steps of a tenth, so that two pools
 * that are about alike do not change places all the time.
 */
import { type PoolFigures, severity } from "./pool-health.js";

/** An order stays for at least so long, in milliseconds. */
const REST_MS = 5_000;

const collator = new Intl.Collator("en", { numeric: true });

/** Compares two pools: the hotter one first. */
export function byHeat(a: PoolFigures, b: PoolFigures): number {
  return severity(b) - severity(a) || fullness(b) - fullness(a) || collator.compare(a.pool, b.pool);
}

/** Remembers the order that was shown. */
export class PoolOrder {
  #names: readonly string[] = [];
  #sortedAtMs = Number.NEGATIVE_INFINITY;

  /**
   * Pools that came since the last sorting are at the end until the next.
   *
   * @param nowMs a monotonic clock
   * @param hold somebody is about to choose: nothing changes places
   */
  arrange<P extends PoolFigures>(pools: Iterable<P>, nowMs: number, hold = false): P[] {
    const byName = new Map([...pools].map((pool) => [pool.pool, pool]));
    const isDue = nowMs - this.#sortedAtMs >= REST_MS && !hold;
    const known = isDue ? [] : this.#names.filter((name) => byName.has(name));
    const names = new Set(known);
    const rest = [...byName.values()].filter(({ pool }) => !names.has(pool)).sort(byHeat);
    const arranged = [...known.map((name) => byName.get(name) as P), ...rest];
    if (isDue && arranged.length > 0) this.#sortedAtMs = nowMs;
    this.#names = arranged.map(({ pool }) => pool);
    return arranged;
  }
}

function fullness({ slots, utilization }: PoolFigures): number {
  return slots === 0 ? -1 : Math.floor(utilization * 10);
}
