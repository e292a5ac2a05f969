/**
 * Settles stored jobs that have ended: from the outcome to the acknowledgement.
 *
 * Decided here: in which order an end is stored, followed by what comes after it, acknowledged and told. Not decided
 * here: what becomes of a job (decide.ts), how often storing is tried (ends.ts).
 */
import { ACK } from "../../../mesh/durable/ack-subject.js";
import { sequenceOf } from "../../../mesh/durable/outcome.js";
import type { Stored } from "../../../mesh/durable/store.js";
import { PoolError } from "../../../mesh/errors.js";
import type { Outcome } from "../../../mesh/job/job.js";
import { forgetPayload, isResult } from "../../../mesh/objects/forget-payload.js";
import type { Pool } from "../pool/pool.js";
import { AfterEnd, type AfterEndParts } from "./after/after-end.js";
import type { Ends } from "./ends.js";
import type { Delivery, Held } from "./held.js";
import type { LaneTotals } from "./lane-totals.js";

/** What it works with. */
export interface SettlingParts extends Omit<AfterEndParts, "pool"> {
  readonly pool: Pool;
  readonly ends: Ends;
  readonly held: Held;
  readonly totals: LaneTotals;
  /** It has ended, and its end is being stored: it takes no slot and needs no leave by a limit any more. */
  readonly beginEnd: (delivery: Delivery) => void;
  /** It is held no more; false when it was not. */
  readonly end: (delivery: Delivery) => boolean;
  /** To be delivered again, after so many milliseconds. */
  readonly giveBack: (delivery: Delivery, delayMs: number) => void;
  /** Somebody else may have it. */
  readonly letGo: (delivery: Delivery) => void;
  /** Says something of a delivery to the broker, unless the stream has lost it. */
  readonly say: (delivery: Delivery, word: Uint8Array) => void;
}

export class Settling {
  readonly #parts: SettlingParts;
  readonly #afterEnd: AfterEnd;

  constructor(parts: SettlingParts) {
    this.#parts = parts;
    this.#afterEnd = new AfterEnd({ ...parts, pool: parts.pool.name });
  }

  /** It has ended, and no other delivery of it is wanted. */
  async store(delivery: Delivery, outcome: Outcome): Promise<void> {
    const { ends, totals, letGo, store, pool } = this.#parts;
    const { job } = delivery;
    const isKept = job instanceof PoolError || job.keepOutcome || delivery.claim > 0 || job.then.length > 0;
    const end = isKept ? await ends.storeOutcome(delivery, outcome) : undefined;
    if (end?.kind === "lost") return letGo(delivery);
    if (end?.kind === "another") {
      totals.late += 1;
      return this.settle(delivery, end.stored);
    }
    if (outcome.ok) totals.succeeded += 1;
    this.settle(delivery, undefined, outcome);
    forgetPayload(store, pool.name, delivery);
  }

  /** The dead letter first: a job that has an outcome is never delivered again. */
  async bury(delivery: Delivery, error: PoolError): Promise<void> {
    const { ends, totals, letGo, log, pool } = this.#parts;
    const { id, attempt } = delivery;
    const death = await ends.storeDeath(delivery, error);
    if (death.kind !== "stored") return letGo(delivery);
    const outcome: Outcome = { ok: false, id, error, worker: "", attempt };
    const end = await ends.storeOutcome(delivery, outcome);
    if (end.kind === "lost") return letGo(delivery);
    if (end.kind === "another") {
      totals.late += 1;
      if (sequenceOf(end.stored.headers) === delivery.sequence) await ends.forgetDeath(delivery).catch(() => {});
      return this.settle(delivery, end.stored);
    }
    totals.dead += 1;
    log.warn({ pool: pool.name, job: id, attempt, reason: error.reason }, "job given up: dead letter");
    this.settle(delivery, undefined, outcome);
  }

  /** Its outcome is stored. What follows it is enqueued before the stream may forget it. */
  settle(delivery: Delivery, stored: Stored | undefined, outcome?: Outcome): void {
    const following = this.#afterEnd.run(delivery, stored, outcome);
    if (following === undefined) return this.#acknowledge(delivery, stored, outcome);
    const { held, bus, beginEnd, giveBack, letGo } = this.#parts;
    beginEnd(delivery);
    following.then(
      (againMs) => {
        if (againMs === undefined) return this.#acknowledge(delivery, stored, outcome);
        return held.hasLease(delivery, bus.runtime.now()) ? giveBack(delivery, againMs) : letGo(delivery);
      },
      () => letGo(delivery),
    );
  }

  /** The stream may forget the job, and its caller hears. */
  #acknowledge(delivery: Delivery, stored: Stored | undefined, outcome: Outcome | undefined): void {
    const { end, say, ends, store, pool } = this.#parts;
    if (!end(delivery)) return;
    say(delivery, ACK);
    void ends.unclaim(delivery);
    if (outcome !== undefined) ends.notices.tell(delivery, outcome);
    else if (stored !== undefined) ends.notices.tellStored(delivery, stored);
    if (stored !== undefined && isResult(stored)) forgetPayload(store, pool.name, delivery);
  }
}
