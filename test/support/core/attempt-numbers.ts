/** What a count of attempts tells of their numbers. */
import { ATTEMPTS_PER_MANAGER } from "../../../mesh/job/job.js";

/**
 * Whether an attempt that is shown as `count` may have come after the one with this number. The first one of another manager
 * may have a lower count than the third one of the manager before: 1,001 is shown as 2, and 3 as 3.
 */
export function mayComeAfter(count: number, number: number): boolean {
  return (count - 1) * ATTEMPTS_PER_MANAGER + 1 > number;
}
