/**
 * Membership in the queue group that offers go to.
 *
 * Left by draining the subscription: what is in flight to it still comes and is
 * answered, where an unsubscribe would lose it.
 */
import type { Msg } from "nats";
import type { Bus } from "../../mesh/link/bus.js";
import { drainSubscription, type Subscription } from "../../mesh/link/subscription.js";
import { QUEUE_WORKERS } from "../../mesh/wire/subjects.js";

export class Offers {
  readonly #bus: Bus;
  readonly #subject: string;
  readonly #receive: (msg: Msg) => void;
  #subscription: Subscription | undefined;
  #isWanted = false;
  #isHeld = false;

  constructor(bus: Bus, subject: string, receive: (msg: Msg) => void) {
    this.#bus = bus;
    this.#subject = subject;
    this.#receive = receive;
  }

  /** The membership, while there is one. */
  get subscription(): Subscription | undefined {
    return this.#subscription;
  }

  /** Joins, unless it is a member already; later, when it is held. */
  join(): void {
    this.#isWanted = true;
    if (!this.#isHeld) this.#join();
  }

  /** Leaves; resolves when nothing more can come. */
  async leave(): Promise<void> {
    this.#isWanted = false;
    await this.#leave();
  }

  /**
   * Held: no member until it is released, whoever joins.
   *
   * @param isRefused the broker refuses the membership: it is kept, to be tried again
   */
  hold(isHeld: boolean, isRefused: boolean): void {
    this.#isHeld = isHeld;
    if (this.#isWanted && (isRefused || !isHeld)) this.#join();
    else void this.#leave();
  }

  #join(): void {
    this.#subscription ??= this.#bus.subscribe(this.#subject, this.#receive, QUEUE_WORKERS);
  }

  async #leave(): Promise<void> {
    const subscription = this.#subscription;
    this.#subscription = undefined;
    if (subscription !== undefined) await drainSubscription(this.#bus, subscription);
  }
}
