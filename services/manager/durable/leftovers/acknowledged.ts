/** Messages that are in their stream although their consumer has them acknowledged, and what they say of themselves. */
import { type DurableJob, decodeDurableJob, durableDefaults } from "../../../../mesh/durable/job.js";
import type { LaneStore, Stored } from "../../../../mesh/durable/store.js";
import { DEFAULT_TIMEOUT_MS } from "../../../../mesh/job/job.js";

/**
 * Those of a subject in the order of the stream, as its leader has them. What is read may be deleted meanwhile.
 *
 * @param subject wildcards allowed
 * @param floor its consumer has all up to here acknowledged
 * @throws PoolError
 */
export async function* acknowledged(
  store: Pick<LaneStore, "nextDecisive">,
  stream: string,
  subject: string,
  floor: number,
): AsyncGenerator<Stored> {
  for (let from = 1; from <= floor; ) {
    const message = await store.nextDecisive(stream, subject, from);
    if (message === undefined || message.sequence > floor) return;
    from = message.sequence + 1;
    yield message;
  }
}

/** What says nothing that makes sense is as good as any other: who gets it delivered buries it. */
export function jobOf({ headers }: Stored): DurableJob {
  try {
    return decodeDurableJob(headers, DEFAULT_TIMEOUT_MS, "");
  } catch {
    return durableDefaults();
  }
}
