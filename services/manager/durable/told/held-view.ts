/** What a manager tells of the stored jobs that it holds or has given back. */
import type { HeldJob } from "../../../../mesh/durable/held-job.js";
import type { HeldList } from "../../../../mesh/durable/held-list.js";
import type { Priority } from "../../../../mesh/wire/headers.js";
import type { Pool } from "../../pool/pool.js";
import type { GivenBack, Held } from "../held.js";

/** Jobs that wait for leave by a limit, of which the other managers hear: more come back after the ack wait only. */
const MAX_LIMITED_TOLD = 512;

/** Which deliveries it holds, for the other managers. */
export function heldList(held: Held): HeldList {
  const list: Record<Priority, number[]> = { high: [], normal: [], low: [] };
  let limited = 0;
  for (const { level, sequence, isLimited, awaitsOther } of held.all()) {
    if (awaitsOther) continue;
    if (isLimited) limited += 1;
    if (!isLimited || limited <= MAX_LIMITED_TOLD) list[level].push(sequence);
  }
  return list;
}

/** A job that it holds, or has given back to be delivered later; undefined when it knows nothing of it. */
export function findHeld(
  { dispatcher }: Pick<Pool, "dispatcher">,
  held: Held,
  givenBack: GivenBack,
  id: string,
  nowMs: number,
): HeldJob | undefined {
  for (const delivery of held.all()) {
    if (delivery.id !== id) continue;
    const { isLimited, nonce } = delivery;
    const job = dispatcher.live(id);
    const last = job?.spec.nonce === nonce ? job.attempt : undefined;
    const runs = last?.state === "accepted";
    const state = runs ? "running" : isLimited ? "limited" : "held";
    return { state, attempt: Math.max(delivery.attempt, last?.count ?? 0), worker: (runs && last.worker) || "" };
  }
  const attempt = givenBack.waiting(id, nowMs);
  return attempt === undefined ? undefined : { state: "retrying", attempt, worker: "" };
}
