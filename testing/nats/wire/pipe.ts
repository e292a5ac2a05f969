/**
 * One direction of a connection: items arrive in the order in which they were sent.
 *
 * At most one event of the world is planned for each pipe, whatever waits in it:
 * what arrives in one instant arrives together, as one read of a socket.
 */
import type { Scheduled, World } from "../../sim/world.js";
import type { Carried, LinkDirection } from "./link.js";

/** Receives what arrives, in order, never empty. The array is the receiver's. */
export type Arrive<T> = (items: T[]) => void;

/** Items on their way. */
export class Pipe<T> implements Carried {
  readonly #world: World;
  readonly #link: LinkDirection;
  readonly #arrive: Arrive<T>;
  #items: T[] = [];
  #dueAtMs: number[] = [];
  #planned: Scheduled | undefined;
  #wroteAtMs = -1;
  #wireFreeAtMs = 0;
  #extraMs = 0;
  #lastDueAtMs = 0;
  #dead = false;

  constructor(world: World, link: LinkDirection, arrive: Arrive<T>) {
    this.#world = world;
    this.#link = link;
    this.#arrive = arrive;
    link.carried.add(this);
  }

  /** Sends an item that takes `bytes` on the wire. Nothing happens when the pipe is dead. */
  send(item: T, bytes: number): void {
    if (this.#dead) return;
    this.#items.push(item);
    this.#dueAtMs.push(this.#dueOf(bytes));
    if (this.#planned === undefined) this.#plan();
  }

  /** Ends the pipe: what is in it is lost, and what is sent later. */
  destroy(): void {
    this.#dead = true;
    this.#items = [];
    this.#dueAtMs = [];
    this.#world.cancel(this.#planned);
    this.#planned = undefined;
    this.#link.carried.delete(this);
  }

  /** Loses the newest part of what is on its way; `share` of it remains, between 0 and 1. */
  loseTail(share: number): void {
    const kept = Math.floor(share * (this.#items.length + 1));
    this.#items.length = Math.min(this.#items.length, kept);
    this.#dueAtMs.length = this.#items.length;
  }

  released(): void {
    if (this.#planned === undefined) this.#plan();
  }

  #dueOf(bytes: number): number {
    const now = this.#world.now();
    const { delayMs, jitterMs, bytesPerMs } = this.#link;
    if (now !== this.#wroteAtMs) {
      this.#wroteAtMs = now;
      this.#extraMs = jitterMs === 0 ? 0 : this.#world.random() * jitterMs;
    }
    this.#wireFreeAtMs = Math.max(now, this.#wireFreeAtMs) + bytes / bytesPerMs;
    this.#lastDueAtMs = Math.max(this.#lastDueAtMs, this.#wireFreeAtMs + delayMs + this.#extraMs);
    return this.#lastDueAtMs;
  }

  #plan(): void {
    const due = this.#dueAtMs[0];
    if (due === undefined || this.#link.held) return;
    this.#planned = this.#world.at(Math.max(due, this.#world.now()), this.#fire);
  }

  readonly #fire = (): void => {
    this.#planned = undefined;
    if (this.#dead || this.#link.held) return;
    const arrived = this.#takeDue();
    this.#plan();
    if (arrived.length > 0) this.#arrive(arrived);
  };

  #takeDue(): T[] {
    const now = this.#world.now();
    const due = this.#dueAtMs;
    let count = 0;
    while (count < due.length && (due[count] as number) <= now) count += 1;
    if (count < due.length) {
      this.#dueAtMs = due.slice(count);
      return this.#items.splice(0, count);
    }
    const all = this.#items;
    this.#items = [];
    due.length = 0;
    return all;
  }
}
