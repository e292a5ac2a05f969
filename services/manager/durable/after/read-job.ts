/** Reads what a delivered job says of itself, and whether this manager may do what follows it. Pure. */
import type { Msg } from "nats";
import type { DeliveryFacts } from "../../../../mesh/durable/ack-subject.js";
import { type DurableJob, decodeDurableJob } from "../../../../mesh/durable/job.js";
import type { DurableNames } from "../../../../mesh/durable/names.js";
import { PoolError, toPoolError } from "../../../../mesh/errors.js";
import { HEADER, type Priority } from "../../../../mesh/wire/headers.js";
import { ownBytes } from "../../../../mesh/wire/payloads.js";
import { isName } from "../../../../mesh/wire/subjects.js";
import { type HeaderReader, headersOf } from "../../../../mesh/wire/wire-headers.js";
import { Delivery } from "../held.js";

/** What a job is read with. */
export interface JobTerms {
  /** Of an attempt of a job that names none, milliseconds. */
  readonly timeoutMs: number;
  /** One more prefix of inboxes, without its dot. */
  readonly inboxPrefix: string;
  /** Whether this manager may enqueue in a pool the jobs that follow others. */
  readonly mayFollow: (pool: string) => boolean;
}

/** When a job came, from which level, and what it is read with. */
export interface Arrival {
  readonly level: Priority;
  /** Monotonic milliseconds. */
  readonly nowMs: number;
  readonly terms: JobTerms;
}

/** A delivered job. What cannot be a subject cannot be stored under its own id. */
export function readDelivery(
  names: DurableNames,
  msg: Msg,
  facts: DeliveryFacts,
  { level, nowMs, terms }: Arrival,
): Delivery {
  const said = names.readJob(msg.subject)?.id ?? "";
  const headers = headersOf(msg);
  const id = isName(said) ? said : `invalid-${facts.sequence}`;
  const job = readJob(said, headers, terms);
  return new Delivery(id, level, facts, msg.reply ?? "", headers, ownBytes(msg.data), job, nowMs);
}

/** @returns why it cannot run, when its id or its headers are wrong, or when what follows it is not for this manager */
function readJob(id: string, headers: HeaderReader | undefined, terms: JobTerms): DurableJob | PoolError {
  try {
    if (!isName(id)) throw new PoolError("invalid_argument", "job: the id is no name", { field: "job" });
    const job = decodeDurableJob(headers, terms.timeoutMs, terms.inboxPrefix);
    // Before it runs: a result that nobody may pass on is of no use.
    for (const { pool } of job.then) if (!terms.mayFollow(pool)) throw notServed(pool);
    return job;
  } catch (thrown) {
    return toPoolError(thrown);
  }
}

function notServed(pool: string): PoolError {
  const message = `${HEADER.then}: the manager does not serve pool ${pool}`;
  return new PoolError("permission_denied", message, { field: HEADER.then });
}
