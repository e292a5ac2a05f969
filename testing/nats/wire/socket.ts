/**
 * A TCP connection between a client and a broker, as both ends see it.
 *
 * Decided here: what is lost when an end goes. Each end is told of the other's
 * end in order with the bytes, unless the wires swallow it.
 */
import type { World } from "../../sim/world.js";
import { END, OPEN, type ToBroker, type ToClient, wireBytes } from "./commands.js";
import type { Link } from "./link.js";
import { Pipe } from "./pipe.js";

/** What an end does with what arrives; `socket` says on which connection. */
export interface Ends {
  /** At the client. The last item may be `end` or `refused`. */
  atClient(socket: Socket, items: ToClient[]): void;
  /** At the broker. The first item is `open`, the last may be `end`. */
  atBroker(socket: Socket, items: ToBroker[]): void;
}

/** What the kernels of both ends hold of bytes that the other end has not read; more waits in the client. */
const KERNEL_BYTES = 4 * 2 ** 20;

/** One connection attempt, and the connection that it becomes. */
export class Socket {
  readonly link: Link;
  readonly #world: World;
  readonly #toBroker: Pipe<ToBroker>;
  readonly #toClient: Pipe<ToClient>;
  readonly #ends: Ends;
  #clientOpen = true;
  #brokerOpen = true;
  #swallowed = false;
  #unreadBytes = 0;
  #onWritten: (() => void) | undefined;

  constructor(world: World, link: Link, ends: Ends) {
    this.#world = world;
    this.link = link;
    this.#ends = ends;
    this.#toBroker = new Pipe<ToBroker>(world, link.toBroker, (items) => ends.atBroker(this, items));
    this.#toClient = new Pipe<ToClient>(world, link.fromBroker, (items) => ends.atClient(this, items));
    if (link.cut) this.swallow();
    this.toBroker(OPEN);
  }

  /** Whether the client's end is open. */
  get clientOpen(): boolean {
    return this.#clientOpen;
  }

  /** Whether the broker's end is open. */
  get brokerOpen(): boolean {
    return this.#brokerOpen;
  }

  /** The client writes. */
  toBroker(command: ToBroker): void {
    if (!this.#clientOpen) return;
    if (this.#swallowed && this.#healed()) return;
    const bytes = wireBytes(command);
    this.#unreadBytes += bytes;
    this.#toBroker.send(command, bytes);
  }

  /** The broker has read these. */
  readByBroker(commands: readonly ToBroker[]): void {
    for (const command of commands) this.#unreadBytes -= wireBytes(command);
    if (this.#unreadBytes <= KERNEL_BYTES) this.#tellWritten();
  }

  /**
   * Calls `work` when the client's kernel has taken all that was written: at
   * once, unless the broker has not read for long. Never when an end goes before.
   */
  whenWritten(work: () => void): void {
    this.#onWritten = work;
    if (this.#unreadBytes <= KERNEL_BYTES) this.#tellWritten();
  }

  /** The broker writes. */
  toClient(command: ToClient): void {
    if (!this.#brokerOpen) return;
    if (this.#swallowed && this.#healed()) return;
    this.#toClient.send(command, wireBytes(command));
  }

  /** The client closes its end; what it wrote before still arrives. */
  closeClient(): void {
    if (!this.#clientOpen) return;
    this.toBroker(END);
    this.#clientOpen = false;
    this.#toClient.destroy();
  }

  /** The client's process dies: the newest part of what it wrote may be lost with it. */
  killClient(): void {
    if (!this.#clientOpen) return;
    this.#toBroker.loseTail(this.#world.random());
    this.closeClient();
  }

  /** The broker closes its end; what it wrote before still arrives. */
  closeBroker(): void {
    if (!this.#brokerOpen) return;
    this.toClient(END);
    this.#brokerOpen = false;
    this.#toBroker.destroy();
  }

  /** The broker's process dies: the newest part of what it wrote may be lost with it. */
  killBroker(): void {
    if (!this.#brokerOpen) return;
    this.#toClient.loseTail(this.#world.random());
    this.closeBroker();
  }

  /** Both ends see the connection end at this instant, after what runs now; what is on its way is lost. */
  reset(): void {
    this.#toBroker.destroy();
    this.#toClient.destroy();
    const [client, broker] = [this.#clientOpen, this.#brokerOpen];
    this.#clientOpen = false;
    this.#brokerOpen = false;
    this.#world.at(this.#world.now(), () => {
      if (client) this.#ends.atClient(this, [END]);
      if (broker) this.#ends.atBroker(this, [END]);
    });
  }

  /** From now on nothing goes through, and nobody is told: a half-open connection at both ends. */
  swallow(): void {
    this.#swallowed = true;
    this.#toBroker.destroy();
    this.#toClient.destroy();
  }

  #tellWritten(): void {
    const work = this.#onWritten;
    this.#onWritten = undefined;
    if (this.#clientOpen) work?.();
  }

  /** Whoever writes to a swallowed connection when its link works again hears that it is over. */
  #healed(): boolean {
    if (!this.link.cut) this.reset();
    return true;
  }
}
