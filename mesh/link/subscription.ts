/**
 * A subscription of a bus, which outlives the broker that it was made at.
 *
 * A member of a queue group can leave for a while: it drains, so that what is in
 * flight to it still comes and nothing new is sent its way, and joins again
 * later. Decided here: that leaving and the end do not get into each other's way.
 */
import type { Subscription as NatsSubscription } from "nats";
import { type Runtime, within } from "./runtime.js";

/** One subject, with one callback. */
export class Subscription {
  readonly subject: string;
  readonly #open: () => NatsSubscription;
  #current: NatsSubscription;
  #away = false;
  #ended = false;

  /** @param open subscribes at the connection */
  constructor(subject: string, open: () => NatsSubscription) {
    this.subject = subject;
    this.#open = open;
    this.#current = open();
  }

  /** Whether nothing more comes, now or later. */
  get isClosed(): boolean {
    return this.#ended || (!this.#away && this.#current.isClosed());
  }

  /** Whether the client ended it since the broker refused it. It does not notice when the broker ends a member of a queue group. */
  get isRefused(): boolean {
    return !this.#ended && !this.#away && this.#current.isClosed();
  }

  /** Subscribes again what the broker has ended. */
  retry(): void {
    if (this.#ended || this.#away) return;
    this.#current.unsubscribe();
    this.#current = this.#open();
  }

  /** Ends it; what is in flight is lost. */
  unsubscribe(): void {
    this.#ended = true;
    this.#current.unsubscribe();
  }

  /** Ends it; resolves when what was in flight has come. */
  async drain(): Promise<void> {
    this.#ended = true;
    await this.#drain();
  }

  /** Leaves until rejoin(); resolves when what was in flight has come. */
  async leave(): Promise<void> {
    if (this.isClosed || this.#away) return;
    this.#away = true;
    await this.#drain();
  }

  /** Is there again after a leave(). */
  rejoin(): void {
    if (!this.#away) return;
    this.#away = false;
    if (this.#ended) return;
    this.#current.unsubscribe();
    this.#current = this.#open();
  }

  async #drain(): Promise<void> {
    if (!this.#current.isClosed()) await this.#current.drain().catch(() => undefined);
  }
}

/** The longest wait for the broker to confirm that nothing more comes, in milliseconds. */
const DRAIN_LIMIT_MS = 1_000;

/** Drains one subscription, with a limit; while disconnected there is nothing in flight to wait for. */
export async function drainSubscription(
  bus: { readonly connected: boolean; readonly runtime: Runtime },
  subscription: Subscription,
): Promise<void> {
  if (subscription.isClosed) return;
  if (!bus.connected) {
    subscription.unsubscribe();
    return;
  }
  await within(bus.runtime, DRAIN_LIMIT_MS, subscription.drain(), undefined);
}
