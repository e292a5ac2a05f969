/**
 * Stores how durable jobs end: outcomes, dead letters, and claims of jobs that may run once.
 *
 * Decided here: the first stored outcome of a job wins, by a fence that the
 * stream checks. What is not acknowledged is published again for as long as the
 * manager holds the job's lease. Not decided here: what is stored (decide.ts).
 */
import { nextJob } from "../../../mesh/durable/after/then.js";
import { isFenced, type PublishAnswer } from "../../../mesh/durable/answers.js";
import { type DurableNames, NATS_HEADER } from "../../../mesh/durable/names.js";
import { decodeDeath, type Encoded, encodeDeath, encodeOutcome, sequenceOf } from "../../../mesh/durable/outcome.js";
import type { StreamMessage, StreamPublisher } from "../../../mesh/durable/publisher.js";
import type { LaneStore, Stored } from "../../../mesh/durable/store.js";
import { PoolError, toPoolError } from "../../../mesh/errors.js";
import type { Outcome } from "../../../mesh/job/job.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { delay } from "../../../mesh/link/runtime.js";
import type { Logger } from "../../../mesh/process/log.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { copyHeaders, type HeaderReader } from "../../../mesh/wire/wire-headers.js";
import { claimMessage } from "./claim-message.js";
import { type Known, mustLook } from "./decide.js";
import type { Delivery } from "./held.js";
import { EndNotices } from "./told/end-notices.js";

/** What it works with. */
export interface EndsParts {
  readonly pool: string;
  /** This manager's id. */
  readonly manager: string;
  readonly bus: Bus;
  readonly names: DurableNames;
  readonly store: LaneStore;
  readonly publisher: StreamPublisher;
  /** Whether nobody else can have the job. */
  readonly holdsLease: (delivery: Delivery) => boolean;
  /** A stream is not there, or perhaps is not: nobody answers. */
  readonly onMissing: () => void;
  readonly log: Logger;
}

/** "another": somebody else's outcome was there first. "lost": the lease is over. */
export type StoreEnd =
  | { readonly kind: "stored" }
  | { readonly kind: "another"; readonly stored: Stored }
  | { readonly kind: "lost" };

/** "ended": the job has an outcome, so nobody runs it. */
export type ClaimEnd = StoreEnd | { readonly kind: "ended"; readonly stored: Stored };

const STORED = { kind: "stored" } as const;
const LOST = { kind: "lost" } as const;
/** How long an acknowledgement may take, and the wait before the next try, in milliseconds. */
const ACK_LIMIT_MS = 2_000;
const RETRY_MS = 250;

export class Ends {
  readonly notices: EndNotices;
  readonly #parts: EndsParts;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: EndsParts) {
    this.#parts = parts;
    this.notices = new EndNotices({ ...parts, encode: (delivery, outcome) => this.#encode(delivery, outcome) });
  }

  /** What the streams say of a job that was delivered before; undefined while they cannot be read. */
  async known(delivery: Delivery): Promise<Known | undefined> {
    try {
      return await this.#read(delivery);
    } catch (thrown) {
      this.#tell(toPoolError(thrown).message, "the outcomes cannot be read; it is tried again");
      return undefined;
    }
  }

  async #read(delivery: Delivery): Promise<Known> {
    const outcome = await this.storedOutcome(delivery.id);
    if (outcome !== undefined) return { outcome };
    const { pool, names, store } = this.#parts;
    const dead = await store.last(names.deadStream, names.dead(pool, delivery.id));
    const isOnce = !(delivery.job instanceof PoolError) && !delivery.job.idempotent;
    const claim = isOnce ? await store.last(names.claimsStream, names.claim(pool, delivery.id)) : undefined;
    return {
      ...(dead === undefined ? {} : { dead: { job: sequenceOf(dead.headers), error: errorOf(dead) } }),
      ...(claim === undefined ? {} : { claim: { sequence: claim.sequence, job: sequenceOf(claim.headers) } }),
    };
  }

  /** The outcome of an id that is stored now. @throws PoolError */
  storedOutcome(id: string): Promise<Stored | undefined> {
    const { pool, names, store } = this.#parts;
    return store.last(names.outcomesStream, names.outcome(pool, id));
  }

  /** Stores an outcome, unless one is stored already. */
  storeOutcome(delivery: Delivery, outcome: Outcome): Promise<StoreEnd> {
    const { job } = delivery;
    let fence = job instanceof PoolError ? 0 : job.afterOutcome;
    delivery.end = undefined;
    return this.#untilStored(
      delivery,
      () => this.#outcomeMessage(delivery, outcome, fence),
      async () => {
        const stored = await this.storedOutcome(delivery.id);
        // The outcome that it was to run over has gone since.
        if (stored === undefined) fence = 0;
        else return isSame(stored, delivery.end?.headers) ? STORED : { kind: "another", stored };
        return undefined;
      },
    );
  }

  /** Stores a dead letter; one that was stored before gives way. */
  storeDeath(delivery: Delivery, error: PoolError): Promise<StoreEnd> {
    const { pool, names, manager, bus } = this.#parts;
    const { id, sequence, attempt, level, headers, payload } = delivery;
    const diedAt = bus.runtime.wallNow();
    const about = { sequence, attempt, manager, priority: level, diedAt };
    const message = { subject: names.dead(pool, id), payload, headers: encodeDeath(headers, error, about) };
    return this.#untilStored(delivery, () => message);
  }

  /** Deletes the dead letter of this job: it has an outcome. */
  async forgetDeath({ id, sequence }: Delivery): Promise<void> {
    const { pool, names, store } = this.#parts;
    const dead = await store.last(names.deadStream, names.dead(pool, id));
    if (dead !== undefined && sequenceOf(dead.headers) === sequence)
      await store.delete(names.deadStream, dead.sequence);
  }

  /**
   * Stores a claim: the job is about to be sent to a worker.
   *
   * @param over the sequence of the claim that it takes the place of; 0 for none
   * Whoever had an earlier delivery may have run the job, stored its outcome and deleted its claim since it was looked
   * for. So the outcome is read again once the claim is stored.
   *
   * @returns whether it is stored; else the claim or the outcome that stands in the way, or that the lease is over
   */
  async claim(delivery: Delivery, over: number): Promise<ClaimEnd> {
    const end = await this.#storeClaim(delivery, over);
    const mayHaveEnded = mustLook(delivery) || delivery.wasEndedHere;
    return end.kind === "stored" && mayHaveEnded ? this.#unlessEnded(delivery) : end;
  }

  async #unlessEnded(delivery: Delivery): Promise<ClaimEnd> {
    const { bus, holdsLease } = this.#parts;
    const after = delivery.job instanceof PoolError ? 0 : delivery.job.afterOutcome;
    for (;;) {
      try {
        const stored = await this.storedOutcome(delivery.id);
        return stored !== undefined && stored.sequence > after ? { kind: "ended", stored } : STORED;
      } catch (thrown) {
        this.#tell(thrown instanceof Error ? thrown.message : String(thrown));
      }
      if (!holdsLease(delivery)) return LOST;
      await delay(bus.runtime, RETRY_MS);
    }
  }

  #storeClaim(delivery: Delivery, over: number): Promise<StoreEnd> {
    const { pool, names, store } = this.#parts;
    let fence = over;
    return this.#untilStored(
      delivery,
      () => this.#claimMessage(delivery, fence),
      async () => {
        const stored = await store.last(names.claimsStream, names.claim(pool, delivery.id));
        if (stored === undefined) fence = 0;
        else if (sequenceOf(stored.headers) !== delivery.sequence) fence = stored.sequence;
        else if (!isSame(stored, this.#claimMessage(delivery, fence).headers)) return { kind: "another", stored };
        else {
          delivery.claim = stored.sequence;
          return STORED;
        }
        return undefined;
      },
      (sequence) => {
        delivery.claim = sequence;
      },
    );
  }

  /** Deletes a claim: nothing of the job runs any more. False when that is not certain. */
  async unclaim(delivery: Delivery): Promise<boolean> {
    if (delivery.claim === 0) return true;
    const { names, store } = this.#parts;
    try {
      if (!delivery.mayBeRepeat || (await this.#isOwnClaim(delivery)))
        await store.delete(names.claimsStream, delivery.claim);
      delivery.claim = 0;
      return true;
    } catch (thrown) {
      this.#tell(thrown instanceof Error ? thrown.message : String(thrown));
      return false;
    }
  }

  /** The broker may have lost it: then another job's claim may have its sequence. */
  async #isOwnClaim({ id, claim }: Delivery): Promise<boolean> {
    const { pool, names, store } = this.#parts;
    return (await store.at(names.claimsStream, claim))?.subject === names.claim(pool, id);
  }

  /**
   * Publishes until it is stored.
   *
   * @param onFenced reads what stands in the way; undefined to try again with another fence
   */
  async #untilStored(
    delivery: Delivery,
    message: () => StreamMessage,
    onFenced: () => Promise<StoreEnd | undefined> = async () => undefined,
    onStored: (sequence: number) => void = () => {},
  ): Promise<StoreEnd> {
    const { bus, holdsLease } = this.#parts;
    for (;;) {
      if (delivery.isLost) return LOST;
      try {
        const answer = await this.#parts.publisher.publish(message(), ACK_LIMIT_MS);
        if (answer.kind === "stored") {
          onStored(answer.sequence);
          return STORED;
        }
        const end = isFenced(answer) ? await onFenced() : undefined;
        if (end !== undefined) return end;
        if (!isFenced(answer)) this.#tell(textOf(answer));
        if (answer.kind === "absent") this.#parts.onMissing();
      } catch (thrown) {
        this.#tell(thrown instanceof Error ? thrown.message : String(thrown));
      }
      if (!holdsLease(delivery)) return LOST;
      await delay(bus.runtime, RETRY_MS);
    }
  }

  #outcomeMessage(delivery: Delivery, outcome: Outcome, fence: number): StreamMessage {
    const { pool, names } = this.#parts;
    delivery.end ??= this.#encode(delivery, outcome);
    const headers = copyHeaders(delivery.end.headers);
    headers.append(NATS_HEADER.expectedLastSubjectSequence, String(fence));
    return { subject: names.outcome(pool, delivery.id), headers, payload: delivery.end.payload };
  }

  #encode({ id, sequence, attempt, job }: Delivery, outcome: Outcome): Encoded {
    const { pool, manager, bus } = this.#parts;
    const endedAt = bus.runtime.wallNow();
    const { enqueuedAt = endedAt, client = "", then = [] } = job instanceof PoolError ? {} : job;
    const next = nextJob(pool, id, sequence, then);
    const facts = { sequence, manager, attempt, enqueuedAt, endedAt, client };
    return encodeOutcome(outcome, next === undefined ? facts : { ...facts, next });
  }

  #claimMessage({ id, sequence, deliveries }: Delivery, fence: number): StreamMessage {
    const { pool, names, manager } = this.#parts;
    return claimMessage(names, { pool, id, manager, sequence, deliveries }, fence);
  }

  /** One line a second at most: many jobs meet the same trouble. */
  #tell(why: string, what = "an outcome is not stored yet; it is tried again"): void {
    const nowMs = this.#parts.bus.runtime.now();
    if (nowMs - this.#toldAtMs < 1_000) return;
    this.#toldAtMs = nowMs;
    this.#parts.log.warn({ pool: this.#parts.pool, why }, what);
  }
}

/** What tells one end of a job, or one claim, from another. */
const NAMED_BY = [HEADER.sequence, HEADER.manager, HEADER.attempt, HEADER.times];

/** Whether it is what this manager published: its acknowledgement was lost. */
function isSame({ headers }: Stored, own: HeaderReader | undefined): boolean {
  return headers !== undefined && own !== undefined && NAMED_BY.every((name) => headers.get(name) === own.get(name));
}

function textOf(answer: PublishAnswer): string {
  if (answer.kind === "refused") return `${answer.text} (${answer.code})`;
  return answer.kind === "absent" ? "its stream is not there" : "no acknowledgement in time";
}

function errorOf({ headers }: Stored): PoolError {
  return headers === undefined
    ? new PoolError("internal", "a dead letter without headers")
    : decodeDeath(headers).error;
}
