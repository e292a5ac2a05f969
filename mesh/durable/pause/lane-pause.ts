/** What of a lane is paused, as its consumers tell. Pure. */
import type { ConsumerInfo } from "@nats-io/jetstream";
import type { Priority } from "../../wire/headers.js";
import { LEVELS } from "../names.js";

/** What of a lane is paused. */
export interface LanePause {
  /** The levels whose jobs wait: all, unless somebody paused a consumer by hand or a pause failed half way. */
  readonly levels: readonly Priority[];
  /** When the last of them goes on by itself; undefined when it waits to be resumed. */
  readonly until: Date | undefined;
}

/** The end of a pause without one. */
export const FOR_EVER = new Date("3000-01-01T00:00:00Z");
/** Ends from here on are none. */
const FAR = new Date("2900-01-01T00:00:00Z");

/** @param consumers in the order of the levels. @returns undefined when nothing is paused */
export function pauseOf(
  consumers: readonly (Pick<ConsumerInfo, "paused" | "config"> | undefined)[],
): LanePause | undefined {
  const levels = LEVELS.filter((_, i) => consumers[i]?.paused === true);
  if (levels.length === 0) return undefined;
  const ends = consumers.flatMap((each) => (each?.paused ? [Date.parse(each.config.pause_until ?? "")] : []));
  return { levels, until: endOf(ends.some(Number.isNaN) ? FOR_EVER : new Date(Math.max(...ends))) };
}

/** An end as people read it; undefined for a pause that waits to be resumed. */
export function endOf(until: Date): Date | undefined {
  return until >= FAR ? undefined : until;
}
