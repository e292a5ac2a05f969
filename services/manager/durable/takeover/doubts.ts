/**
 * What the broker may have forgotten or lost of a pool's stored jobs, since it, or a consumer, or the stream was away.
 *
 * Decided here: when that is in doubt. A consumer that delivers for the first time what comes before its last first delivery,
 * or that counts from a lower number, is another one: it was deleted and made anew. Not decided here: what of the deliveries
 * is in doubt then (first-deliveries.ts), and which held jobs are lost (lost-jobs.ts).
 */
import type { DeliveryFacts } from "../../../../mesh/durable/ack-subject.js";
import type { LaneStore } from "../../../../mesh/durable/store.js";
import type { Delivery } from "../held.js";
import { type Arrived, FirstDeliveries } from "./first-deliveries.js";
import { LostJobs, type LostJobsParts } from "./lost-jobs.js";

/** What it works with. */
export interface DoubtsParts extends LostJobsParts {
  readonly store: Pick<LaneStore, "at" | "streamInfo">;
  /** All that is held. */
  readonly held: () => Iterable<Delivery>;
}

/** The last delivery of a consumer, and its last first one. */
interface Marks {
  readonly count: number;
  readonly first: number;
}

export class Doubts {
  readonly #parts: DoubtsParts;
  readonly #first: FirstDeliveries;
  readonly #lost: LostJobs;
  readonly #marks = new Map<string, Marks>();

  constructor(parts: DoubtsParts) {
    this.#parts = parts;
    this.#first = new FirstDeliveries(parts, parts.bus.runtime.now());
    this.#lost = new LostJobs(parts);
  }

  /** Whether it is known of all that is held that the stream has it. */
  get isSettled(): boolean {
    return this.#lost.isSettled;
  }

  /** Those that are held no more, and of which something is still to be said. */
  get unsaid(): number {
    return this.#lost.unsaid;
  }

  /** From now on: what has come may have come, and ended, elsewhere since. */
  begin(): void {
    const nowMs = this.#parts.bus.runtime.now();
    this.#marks.clear();
    this.#first.doubt(nowMs);
    for (const delivery of this.#parts.held()) delivery.mayBeRepeat = true;
    this.#lost.doubt(this.#parts.held());
  }

  /** A delivery has come, before anything is done with it. */
  onDelivery({ consumer, deliveries, sequence, count }: DeliveryFacts): void {
    const isFirst = deliveries === 1;
    const last = this.#marks.get(consumer) ?? { count: 0, first: 0 };
    const isAnother = count <= last.count || (isFirst && sequence <= last.first);
    if (isAnother) this.begin();
    const first = isAnother ? 0 : last.first;
    this.#marks.set(consumer, { count, first: isFirst ? sequence : first });
  }

  /** Whether a job may have been delivered before although the broker says that it comes for the first time. */
  mayBeRepeat(arrived: Arrived): boolean {
    return this.#first.mayBeRepeat(arrived);
  }

  /** Says something of a delivery, at once or when it is known that it is there. Of one that is lost nothing is said. */
  say(delivery: Delivery, word: Uint8Array): void {
    this.#lost.say(delivery, word);
  }

  /** Called every 100 milliseconds. @param nowMs monotonic */
  tick(nowMs: number): void {
    this.#first.tick(nowMs);
    this.#lost.tick(nowMs);
  }
}
