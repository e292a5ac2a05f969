/**
 * The wires between all processes and all brokers, and the connections on them.
 *
 * A link belongs to the name of a process: one that is started again under its
 * name finds the link as it was.
 */
import type { SimProcess } from "../../sim/world.js";
import { type Direction, Link, type LinkOptions } from "./link.js";
import type { Socket } from "./socket.js";

/** Which part of a process's wires a fault concerns; without a value: all. */
export interface LinkPart {
  /** Only to this broker. */
  broker?: string;
  /** Only this direction. */
  direction?: Direction;
}

interface OnLink {
  readonly socket: Socket;
  readonly process: SimProcess;
  readonly broker: string;
}

/** All links of a network. */
export class Links {
  readonly #brokers: () => Iterable<string>;
  readonly #links = new Map<string, Link>();
  readonly #sockets = new Map<Socket, OnLink>();

  /** @param brokers names of all brokers */
  constructor(brokers: () => Iterable<string>) {
    this.#brokers = brokers;
  }

  /** The link between two. */
  of(process: SimProcess, broker: string): Link {
    const key = `${process.name} ${broker}`;
    let link = this.#links.get(key);
    if (link === undefined) {
      link = new Link();
      this.#links.set(key, link);
    }
    return link;
  }

  /** A connection attempt begins on a link. */
  opened(socket: Socket, process: SimProcess, broker: string): void {
    this.#sockets.set(socket, { socket, process, broker });
  }

  /** Whose connection it is; undefined when it has ended at both ends. */
  ownerOf(socket: Socket): SimProcess | undefined {
    return this.#sockets.get(socket)?.process;
  }

  set(process: SimProcess, options: LinkOptions, broker?: string): void {
    for (const link of this.#linksOf(process, broker)) link.set(options);
  }

  hold(process: SimProcess, { broker, direction }: LinkPart): void {
    for (const link of this.#linksOf(process, broker)) for (const each of directionsOf(link, direction)) each.hold();
  }

  release(process: SimProcess, { broker, direction }: LinkPart): void {
    for (const link of this.#linksOf(process, broker)) for (const each of directionsOf(link, direction)) each.release();
  }

  cut(process: SimProcess, broker?: string): void {
    for (const link of this.#linksOf(process, broker)) link.cut = true;
    for (const socket of this.#socketsOf(process, broker)) socket.swallow();
  }

  heal(process: SimProcess, broker?: string): void {
    for (const link of this.#linksOf(process, broker)) {
      link.cut = false;
      link.down = false;
    }
  }

  down(process: SimProcess, broker?: string): void {
    for (const link of this.#linksOf(process, broker)) link.down = true;
    this.reset(process, broker);
  }

  reset(process: SimProcess, broker?: string): void {
    for (const socket of this.#socketsOf(process, broker)) socket.reset();
  }

  #linksOf(process: SimProcess, broker: string | undefined): Link[] {
    const brokers = broker === undefined ? [...this.#brokers()] : [broker];
    return brokers.map((each) => this.of(process, each));
  }

  #socketsOf(process: SimProcess, broker: string | undefined): Socket[] {
    const found: Socket[] = [];
    for (const each of this.#sockets.values()) {
      if (!each.socket.clientOpen && !each.socket.brokerOpen) this.#sockets.delete(each.socket);
      else if (each.process.name === process.name && (broker ?? each.broker) === each.broker) found.push(each.socket);
    }
    return found;
  }
}

function directionsOf(link: Link, direction: Direction | undefined): (typeof link)[Direction][] {
  return direction === undefined ? [link.toBroker, link.fromBroker] : [link[direction]];
}
