/**
 * The other brokers of a cluster, as one of them sees them: who is there, what
 * they listen to, and what they have been told of this broker's own clients.
 */
import type { World } from "../../sim/world.js";
import type { Message } from "../wire/commands.js";
import type { LinkDirection } from "../wire/link.js";
import { RemoteSubscriber, Route, type RouteItem, type Subscriber } from "./route.js";

/** What this needs of brokers. */
export interface PeerHost {
  readonly name: string;
  /** Takes what a peer sent, now or when it goes on. */
  whenRunning(work: () => void): void;
  routeFromPeer(message: Message, queues: readonly string[]): void;
  /** Adds or removes what another broker listens to. */
  setRemote(subscriber: Subscriber, listens: boolean): void;
  hear(from: string, items: readonly RouteItem[]): void;
}

interface Peer {
  readonly route: Route;
  readonly remote: Map<string, RemoteSubscriber>;
}

interface Own {
  readonly subject: string;
  readonly queue: string | undefined;
  count: number;
}

/** Peers of one broker. */
export class Peers {
  readonly #world: World;
  readonly #host: PeerHost;
  readonly #peers = new Map<string, Peer>();
  readonly #own = new Map<string, Own>();

  constructor(world: World, host: PeerHost) {
    this.#world = world;
    this.#host = host;
  }

  /** Opens the way to a peer and tells it everything that is listened to here. */
  connect(peer: PeerHost, link: LinkDirection): void {
    this.disconnect(peer.name);
    const { name } = this.#host;
    const route = new Route(this.#world, peer.name, link, (items) => peer.whenRunning(() => peer.hear(name, items)));
    this.#peers.set(peer.name, { route, remote: new Map() });
    for (const { subject, queue, count } of this.#own.values()) route.tell(subject, queue, count);
  }

  /** A peer is gone: nothing is sent there, and nobody listens there. */
  disconnect(name: string): void {
    const peer = this.#peers.get(name);
    if (peer === undefined) return;
    this.#peers.delete(name);
    peer.route.destroy();
    for (const each of peer.remote.values()) this.#host.setRemote(each, false);
  }

  /** Forgets everything. */
  clear(): void {
    for (const name of [...this.#peers.keys()]) this.disconnect(name);
    this.#own.clear();
  }

  /** Somebody here listens. */
  added({ subject, queue }: Subscriber): void {
    this.#count(subject, queue, 1);
  }

  /** Somebody here listens no more. */
  removed({ subject, queue }: Subscriber): void {
    this.#count(subject, queue, -1);
  }

  /** What a peer sent, in order. Nothing when it has gone meanwhile. */
  hear(from: string, items: readonly RouteItem[]): void {
    for (const item of items) {
      const peer = this.#peers.get(from);
      if (peer === undefined) return;
      if (item.kind === "message") this.#host.routeFromPeer(item.message, item.queues);
      else this.#setRemote(peer, item.subject, item.queue, item.weight);
    }
  }

  #count(subject: string, queue: string | undefined, change: number): void {
    const key = keyOf(subject, queue);
    const own = this.#own.get(key) ?? { subject, queue, count: 0 };
    own.count += change;
    if (own.count > 0) this.#own.set(key, own);
    else this.#own.delete(key);
    // Of plain subscribers peers know only whether there are any: the first and the last are told.
    const isNews = queue !== undefined || own.count === (change > 0 ? 1 : 0);
    if (!isNews) return;
    for (const { route } of this.#peers.values()) route.tell(subject, queue, own.count);
  }

  #setRemote(peer: Peer, subject: string, queue: string | undefined, weight: number): void {
    const key = keyOf(subject, queue);
    const known = peer.remote.get(key);
    if (weight > 0 && known !== undefined) {
      known.weight = weight;
      return;
    }
    if (weight > 0) {
      const added = new RemoteSubscriber(peer.route, subject, queue, weight);
      peer.remote.set(key, added);
      this.#host.setRemote(added, true);
    } else if (known !== undefined) {
      peer.remote.delete(key);
      this.#host.setRemote(known, false);
    }
  }
}

function keyOf(subject: string, queue: string | undefined): string {
  return queue === undefined ? subject : `${subject} ${queue}`;
}
