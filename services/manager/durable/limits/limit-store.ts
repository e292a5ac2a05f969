/**
 * Sets and removes the limits of a pool.
 *
 * Decided here: all limits of a pool are one message, stored over the one that was
 * read, which the stream checks. So two who set at once do not undo each other.
 */
import { enqueueRefusal, isFenced } from "../../../../mesh/durable/answers.js";
import type { EnqueueParts } from "../../../../mesh/durable/enqueue.js";
import {
  checkTarget,
  decodeLimits,
  encodeLimits,
  type Limit,
  type Limits,
  MAX_LIMITS,
} from "../../../../mesh/durable/limits/limit.js";
import { NATS_HEADER } from "../../../../mesh/durable/names.js";
import { PoolError } from "../../../../mesh/errors.js";
import { wireHeaders } from "../../../../mesh/wire/wire-headers.js";

const ACK_LIMIT_MS = 5_000;
const MAX_TRIES = 20;

/** One for the same target gives way. The stream must be there. @throws PoolError `pool_full`, `bus_unavailable` */
export function setLimit(parts: EnqueueParts, pool: string, limit: Limit): Promise<void> {
  return change(parts, pool, (limits) => {
    limits.set(limit.target, limit);
    if (limits.size <= MAX_LIMITS) return;
    throw new PoolError("pool_full", `the pool has ${MAX_LIMITS} limits, the most there may be`, { field: "target" });
  });
}

/** @throws PoolError `not_found`, `invalid_argument`, `bus_unavailable` */
export function removeLimit(parts: EnqueueParts, pool: string, target: string): Promise<void> {
  checkTarget(target);
  return change(parts, pool, (limits) => {
    if (limits.delete(target)) return;
    throw new PoolError("not_found", `pool ${pool} has no such limit`, { field: "target" });
  });
}

async function change(parts: EnqueueParts, pool: string, edit: (limits: Map<string, Limit>) => void): Promise<void> {
  const { names, store, publisher } = parts;
  const subject = names.limit(pool, names.limitsToken);
  for (let tries = 1; ; tries += 1) {
    const before = await store.last(names.limitsStream, subject);
    const limits: Map<string, Limit> = new Map(before === undefined ? [] : (decodeLimits(before.payload) as Limits));
    edit(limits);
    const headers = wireHeaders();
    headers.append(NATS_HEADER.expectedLastSubjectSequence, String(before?.sequence ?? 0));
    const answer = await publisher.publish({ subject, payload: encodeLimits(limits), headers }, ACK_LIMIT_MS);
    if (answer.kind === "stored") return;
    if (!isFenced(answer) || tries >= MAX_TRIES) throw enqueueRefusal(answer, pool);
  }
}
