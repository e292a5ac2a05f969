/**
 * Who gets messages, and the way from one broker of a cluster to those of another: interest and messages, in order.
 */
import type { World } from "../../sim/world.js";
import type { Message } from "../wire/commands.js";
import type { LinkDirection } from "../wire/link.js";
import { Pipe } from "../wire/pipe.js";
import type { Listed } from "./interest.js";

/** Somebody who gets messages: a client's subscription, a stream, or another broker for all of its own. */
export interface Subscriber extends Listed {
  /** The broker on whose behalf it listens; undefined for a local one. */
  readonly route?: Route;
  /** How many members of the queue group it stands for; default 1. */
  readonly weight?: number;
  /** Says whether it took the message. */
  deliver(message: Message): boolean;
}

/** What a broker tells another. */
export type RouteItem =
  | { readonly kind: "interest"; readonly subject: string; readonly queue: string | undefined; readonly weight: number }
  | { readonly kind: "message"; readonly message: Message; readonly queues: readonly string[] };

/** Bytes of an interest line, about. */
const INTEREST_BYTES = 64;

/** One direction between two brokers, as the sending one holds it. */
export class Route {
  /** The name of the broker at the other end. */
  readonly to: string;
  readonly #pipe: Pipe<RouteItem>;

  constructor(world: World, to: string, link: LinkDirection, arrive: (items: RouteItem[]) => void) {
    this.to = to;
    this.#pipe = new Pipe(world, link, arrive);
  }

  /** Tells how many of us listen now. */
  tell(subject: string, queue: string | undefined, weight: number): void {
    this.#pipe.send({ kind: "interest", subject, queue, weight }, INTEREST_BYTES);
  }

  /** Passes a message on; whether somebody is still there is known only at the other end. */
  pass(message: Message, queues: readonly string[]): boolean {
    this.#pipe.send({ kind: "message", message, queues }, message.bytes.length + message.subject.length);
    return true;
  }

  /** Ends it: what is on its way is lost. */
  destroy(): void {
    this.#pipe.destroy();
  }
}

/** What a broker knows of the subscribers of another one for one subject. */
export class RemoteSubscriber implements Subscriber {
  readonly subject: string;
  readonly queue: string | undefined;
  readonly route: Route;
  weight: number;

  constructor(route: Route, subject: string, queue: string | undefined, weight: number) {
    this.route = route;
    this.subject = subject;
    this.queue = queue;
    this.weight = weight;
  }

  /** Never called: the router passes one copy to the route. */
  deliver(): boolean {
    return false;
  }
}
