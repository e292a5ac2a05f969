/**
 * Held jobs that their stream has lost.
 *
 * A broker that loses its power comes back with its streams as they were up to minutes before, and counts on from there. A
 * stream that is deleted and made anew counts from 1. In both a sequence that had a job before has another one soon, and
 * what a manager says of a delivery names nothing but the sequence. So after a reconnect nothing is said, and nothing new
 * is asked for, until the stream has told which of the held jobs it still has.
 *
 * Decided here: how that is found out, and what is said then. What is lost is the end of a stream: the newest that is
 * there tells it of all before. Not decided here: what becomes of a job that is lost (pool-lane.ts).
 */
import { IN_PROGRESS } from "../../../../mesh/durable/ack-subject.js";
import type { LaneStore, Stored } from "../../../../mesh/durable/store.js";
import type { Bus } from "../../../../mesh/link/bus.js";
import type { Delivery } from "../held.js";

/** What it works with. */
export interface LostJobsParts {
  readonly bus: Pick<Bus, "publish" | "runtime">;
  readonly store: Pick<LaneStore, "at">;
  /** The name of the stream of the pool's jobs. */
  readonly stream: string;
  /** The stream does not have these any more. */
  readonly onLost: (lost: readonly Delivery[]) => void;
  /** It is known of all. */
  readonly onSettled: () => void;
}

/** After a question without an answer, in milliseconds. */
const ASK_AGAIN_MS = 500;
/** Messages that are asked for at once, after the newest. */
const MOST_AT_ONCE = 64;

export class LostJobs {
  readonly #parts: LostJobsParts;
  /** Those of which it is not known, and what is to be said of each. */
  readonly #inDoubt = new Map<Delivery, Uint8Array>();
  /** Counts the doubts: an answer to an earlier question tells nothing of what came after. */
  #doubts = 0;
  #asksAtMs = 0;
  #isAsking = false;

  constructor(parts: LostJobsParts) {
    this.#parts = parts;
  }

  /** Whether it is known of all that is held. */
  get isSettled(): boolean {
    return this.#inDoubt.size === 0;
  }

  /** Those that are held no more, and of which something is still to be said. */
  get unsaid(): number {
    let count = 0;
    for (const word of this.#inDoubt.values()) if (word !== IN_PROGRESS) count += 1;
    return count;
  }

  /** The stream may have lost some of these. */
  doubt(held: Iterable<Delivery>): void {
    for (const delivery of held) if (!this.#inDoubt.has(delivery)) this.#inDoubt.set(delivery, IN_PROGRESS);
    this.#doubts += 1;
    if (this.#inDoubt.size > 0) void this.#ask();
  }

  /** Says something of a delivery, at once or when it is known that it is there. Of one that is lost nothing is said. */
  say(delivery: Delivery, word: Uint8Array): void {
    if (delivery.isLost) return;
    if (this.#inDoubt.has(delivery)) return void this.#inDoubt.set(delivery, word);
    const { bus } = this.#parts;
    if (bus.publish(delivery.ackSubject, word) && word === IN_PROGRESS) delivery.sign(bus.runtime.now());
  }

  /** Asks again for what was not answered. @param nowMs monotonic milliseconds */
  tick(nowMs: number): void {
    if (!this.isSettled && nowMs >= this.#asksAtMs) void this.#ask();
  }

  async #ask(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      // A doubt that came meanwhile is of what was asked before it.
      for (let doubt = 0; doubt !== this.#doubts && !this.isSettled; ) {
        doubt = this.#doubts;
        const lost = await this.#findLost();
        if (doubt === this.#doubts) this.#settle(lost);
      }
    } catch {
      // What cannot be read now is asked again.
      this.#asksAtMs = this.#parts.bus.runtime.now() + ASK_AGAIN_MS;
    } finally {
      this.#isAsking = false;
    }
  }

  async #findLost(): Promise<Delivery[]> {
    const { store, stream } = this.#parts;
    const newestFirst = [...this.#inDoubt.keys()].sort((a, b) => b.sequence - a.sequence);
    const lost: Delivery[] = [];
    for (let from = 0; from < newestFirst.length; ) {
      const some = newestFirst.slice(from, from + (from === 0 ? 1 : MOST_AT_ONCE));
      const stored = await Promise.all(some.map(({ sequence }) => store.at(stream, sequence)));
      const first = some.findIndex((delivery, i) => isOf(delivery, stored[i]));
      lost.push(...some.slice(0, first < 0 ? some.length : first));
      if (first >= 0) break;
      from += some.length;
    }
    return lost;
  }

  #settle(lost: readonly Delivery[]): void {
    const { onLost, onSettled } = this.#parts;
    for (const delivery of lost) {
      delivery.isLost = true;
      this.#inDoubt.delete(delivery);
    }
    const words = [...this.#inDoubt];
    this.#inDoubt.clear();
    for (const [delivery, word] of words) this.say(delivery, word);
    if (lost.length > 0) onLost(lost);
    onSettled();
  }
}

/** Whether a message is that of a delivery: another one with its sequence was stored at another time. */
function isOf({ facts }: Delivery, stored: Stored | undefined): boolean {
  return stored?.storedAtMs === Number(BigInt(facts.storedAt) / 1_000_000n);
}
