/**
 * Which jobs may have been delivered before although the broker says that they come for the first time.
 *
 * A broker notes what it has delivered a moment after it did. One that is killed has forgotten the last of it: it delivers
 * those jobs again and counts from 1, also those that have ended since. So what was stored before the start of this
 * manager, before a reconnect or before a consumer had another leader is in doubt, and looked up like a job that comes again.
 *
 * Decided here: how much of it. A job that may run once is in doubt up to the sequence that the stream tells; until the stream
 * has told it, nothing is taken for new. A stream that is not there tells nothing: it may be restored from a backup. A job
 * that may run twice is in doubt only among the first deliveries of its level: a consumer delivers in the order of its
 * stream, so what it has forgotten comes before what it has never delivered.
 */
import type { DurableJob } from "../../../../mesh/durable/job.js";
import type { LaneStore } from "../../../../mesh/durable/store.js";
import { PoolError } from "../../../../mesh/errors.js";
import type { Priority } from "../../../../mesh/wire/headers.js";

/**
 * More first deliveries than a consumer has forgotten when its broker was killed: what it delivers in the tenth of a second
 * before it notes them. Measured: docs/adr/0073.
 */
export const MOST_FORGOTTEN = 4_096;
/** After a question without an answer, in milliseconds. */
const ASK_AGAIN_MS = 500;

/** What it works with. */
export interface FirstDeliveriesParts {
  readonly store: Pick<LaneStore, "streamInfo">;
  /** The name of the stream of the pool's jobs. */
  readonly stream: string;
}

/** A job that has just come. */
export interface Arrived {
  /** Its sequence in the stream. */
  readonly sequence: number;
  readonly deliveries: number;
  readonly level: Priority;
  readonly job: Pick<DurableJob, "idempotent"> | PoolError;
}

export class FirstDeliveries {
  readonly #parts: FirstDeliveriesParts;
  #newFrom = Number.POSITIVE_INFINITY;
  /** First deliveries of each level since the doubt. */
  readonly #seen: Record<Priority, number> = { high: 0, normal: 0, low: 0 };
  /** Counts the doubts: an answer to an earlier question tells nothing of what came after. */
  #doubts = 0;
  #asksAtMs = 0;

  /** @param nowMs monotonic milliseconds: what was stored before is in doubt */
  constructor(parts: FirstDeliveriesParts, nowMs: number) {
    this.#parts = parts;
    this.doubt(nowMs);
  }

  /** Counts a delivery, and says whether the job may have come before although that is not said. */
  mayBeRepeat({ sequence, deliveries, level, job }: Arrived): boolean {
    const isFirst = deliveries === 1;
    if (isFirst) this.#seen[level] += 1;
    if (sequence >= this.#newFrom) return false;
    const mayRunTwice = job instanceof PoolError || job.idempotent;
    return !(isFirst && mayRunTwice) || this.#seen[level] <= MOST_FORGOTTEN;
  }

  /** The broker may have forgotten what it delivered. @param nowMs monotonic milliseconds */
  doubt(nowMs: number): void {
    this.#newFrom = Number.POSITIVE_INFINITY;
    Object.assign(this.#seen, { high: 0, normal: 0, low: 0 });
    this.#doubts += 1;
    this.#ask(nowMs);
  }

  /** Asks again for what was not answered. @param nowMs monotonic milliseconds */
  tick(nowMs: number): void {
    if (this.#newFrom === Number.POSITIVE_INFINITY && nowMs >= this.#asksAtMs) this.#ask(nowMs);
  }

  #ask(nowMs: number): void {
    const doubt = this.#doubts;
    this.#asksAtMs = nowMs + ASK_AGAIN_MS;
    this.#parts.store.streamInfo(this.#parts.stream).then(
      (info) => {
        if (doubt === this.#doubts && info !== undefined) this.#newFrom = info.state.last_seq + 1;
      },
      // It is asked again.
      () => undefined,
    );
  }
}
