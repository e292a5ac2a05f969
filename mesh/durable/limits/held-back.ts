/** How many stored jobs of a pool managers hold back: what the streams do not tell. A manager says it, of itself and of all that it hears. */
import { parseJson } from "../../job/codec.js";

/** Jobs of one pool that managers hold back, as they tell. */
export interface HeldBack {
  /** They wait after a failure. */
  readonly retrying: number;
  /** They wait until their limits let them run. */
  readonly limited: number;
}

/** What a manager is asked at `pool.P.lane`. */
export const HELD_BACK_QUESTION = "held-back";

/** Managers tell it a moment later than the stream knows: both are among what is delivered. */
export function within({ retrying, limited }: HeldBack, delivered: number): HeldBack {
  const failed = Math.min(retrying, delivered);
  return { retrying: failed, limited: Math.min(limited, delivered - failed) };
}

/** An answer; undefined for one that is none. */
export function decodeHeldBack(text: string): HeldBack | undefined {
  try {
    const { retrying, limited } = (parseJson(text) ?? {}) as Partial<HeldBack>;
    return isCount(retrying) && isCount(limited) ? { retrying, limited } : undefined;
  } catch {
    return undefined;
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
