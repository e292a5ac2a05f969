/**
 * A broker: a nats-server, alone or in a cluster.
 *
 * Decided here: who is connected, and what being stopped, killed or a lame duck
 * means. Not decided here: who gets a message (router.ts), what a client's
 * commands do (session.ts), where other brokers are (network.ts).
 */
import type { Scheduled, World } from "../../sim/world.js";
import { type Info, type Message, REFUSED, type ToBroker } from "../wire/commands.js";
import type { LinkDirection } from "../wire/link.js";
import type { Socket } from "../wire/socket.js";
import { type PeerHost, Peers } from "./peers.js";
import type { Permissions } from "./permissions.js";
import type { RouteItem, Subscriber } from "./route.js";
import { Router } from "./router.js";
import { Session, type SessionHost } from "./session.js";

/** How a broker runs. */
export interface BrokerOptions {
  /** Largest headers and payload together, in bytes; default 1 MiB. */
  maxPayload?: number;
  /** How often a silent client is pinged, in milliseconds; default 120,000. Two unanswered pings end its session. */
  pingIntervalMs?: number;
}

/** How a broker leaves. */
export interface LameDuckOptions {
  /** How long clients have before the first is closed, in milliseconds; default 10,000. */
  graceMs?: number;
  /** Time between two clients that are closed, at most, in milliseconds; default 1,000. */
  closeEveryMs?: number;
}

const DEFAULT_MAX_PAYLOAD = 1024 * 1024;
const DEFAULT_PING_INTERVAL_MS = 120_000;
const GRACE_MS = 10_000;
const CLOSE_EVERY_MS = 1_000;

/** One broker. It may be started again after kill(). */
export class Broker implements SessionHost, PeerHost {
  readonly name: string;
  readonly #world: World;
  #options: Required<BrokerOptions>;
  readonly #sessions = new Map<Socket, Session>();
  readonly #peers: Peers;
  #router: Router;
  #running = true;
  #life = 1;
  #accepting = true;
  #waiting: (() => void)[] | undefined;
  #onLameDuckEnd: () => void = () => {};
  #lameDuckStep: Scheduled | undefined;
  #pingStep: Scheduled | undefined;
  #info: Info;

  constructor(world: World, name: string, options: BrokerOptions) {
    this.name = name;
    this.#world = world;
    this.#options = {
      maxPayload: options.maxPayload ?? DEFAULT_MAX_PAYLOAD,
      pingIntervalMs: options.pingIntervalMs ?? DEFAULT_PING_INTERVAL_MS,
    };
    this.#router = new Router(world);
    this.#peers = new Peers(world, this);
    this.#info = this.#makeInfo();
    this.#planPings();
  }

  get running(): boolean {
    return this.#running;
  }

  /** Counts how often it was started: what was planned with an earlier life is not of this one. */
  get life(): number {
    return this.#life;
  }

  /** Whether new clients can connect. */
  get accepting(): boolean {
    return this.#running && this.#accepting;
  }

  get paused(): boolean {
    return this.#waiting !== undefined;
  }

  get sessions(): Iterable<Session> {
    return this.#sessions.values();
  }

  info(): Info {
    return this.#info;
  }

  /** What arrived from a client. */
  arrive(socket: Socket, commands: ToBroker[], permissions: Permissions | undefined): void {
    if (commands[0]?.op === "open" && !this.accepting) {
      socket.toClient(REFUSED);
      return socket.closeBroker();
    }
    // The kernel accepts a connection, whether or not the process runs.
    const session = this.#session(socket, permissions);
    this.whenRunning(() => {
      socket.readByBroker(commands);
      session?.take(commands);
    });
  }

  /** Runs `work` now, or when the broker goes on. */
  whenRunning(work: () => void): void {
    if (!this.#running) return;
    if (this.#waiting === undefined) work();
    else this.#waiting.push(work);
  }

  route(message: Message): boolean {
    return this.#router.route(message);
  }

  /** A message that another broker passed on. */
  routeFromPeer(message: Message, queues: readonly string[]): void {
    this.#router.route(message, true, queues);
  }

  add(subscriber: Subscriber): void {
    this.#router.add(subscriber);
    this.#peers.added(subscriber);
  }

  remove(subscriber: Subscriber): void {
    this.#router.remove(subscriber);
    this.#peers.removed(subscriber);
  }

  /** What another broker told. */
  hear(from: string, items: readonly RouteItem[]): void {
    this.#peers.hear(from, items);
  }

  /** Adds or removes what another broker listens to; its own peers are not told. */
  setRemote(subscriber: Subscriber, listens: boolean): void {
    if (listens) this.#router.add(subscriber);
    else this.#router.remove(subscriber);
  }

  ended(session: Session): void {
    this.#sessions.delete(session.socket);
  }

  /** Connects to another broker of the cluster, one way. */
  connectTo(peer: Broker, link: LinkDirection): void {
    this.#peers.connect(peer, link);
  }

  /** The way to another broker has ended. */
  disconnectFrom(peer: string): void {
    this.#peers.disconnect(peer);
  }

  /** SIGSTOP: what arrives waits. */
  pause(): void {
    // The process that runs next is another one.
    if (this.#running) this.#waiting ??= [];
  }

  /** SIGCONT: what has arrived is handled, in its order. */
  resume(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const work of waiting) work();
  }

  /** SIGKILL: every connection ends, everything in memory is gone. */
  kill(): void {
    if (!this.#running) return;
    this.#running = false;
    this.#waiting = undefined;
    this.#cancelSteps();
    for (const session of [...this.#sessions.values()]) session.kill();
    this.#peers.clear();
    this.#router = new Router(this.#world);
  }

  /** Runs again after kill(), perhaps with other options. */
  start(options: BrokerOptions): void {
    if (this.#running) return;
    this.#options = {
      maxPayload: options.maxPayload ?? this.#options.maxPayload,
      pingIntervalMs: options.pingIntervalMs ?? this.#options.pingIntervalMs,
    };
    this.#running = true;
    this.#life += 1;
    this.#accepting = true;
    this.#info = this.#makeInfo();
    this.#planPings();
  }

  /** The brokers of the cluster, this one among them; none when it is alone. */
  setUrls(urls: readonly string[]): void {
    this.#info = this.#makeInfo(urls);
    for (const session of this.#sessions.values()) session.send({ op: "info", info: this.#info });
  }

  /** SIGUSR2: tells every client to go, closes them one by one after a while, and ends. */
  lameDuck(others: readonly string[], options: LameDuckOptions & { ended: () => void }): void {
    if (!this.accepting) return;
    this.#accepting = false;
    this.#onLameDuckEnd = options.ended;
    const { ldm: _, ...info } = this.#makeInfo(others);
    for (const session of this.#sessions.values()) session.send({ op: "info", info: { ...info, ldm: true } });
    this.#info = info;
    const clients = [...this.#sessions.values()];
    const everyMs = options.closeEveryMs ?? CLOSE_EVERY_MS;
    const graceMs = clients.length === 0 ? 0 : (options.graceMs ?? GRACE_MS);
    this.#lameDuckStep = this.#after(graceMs, () => this.#closeNext(clients, everyMs));
  }

  /** Like nats-server: those that were there at the beginning, in any order; who has gone since takes its time too. */
  #closeNext(clients: Session[], everyMs: number): void {
    const [next] = clients.splice(Math.floor(this.#world.random() * clients.length), 1);
    next?.close();
    if (clients.length === 0) {
      this.kill();
      return this.#onLameDuckEnd();
    }
    const waitMs = everyMs * (0.5 + this.#world.random() / 2);
    this.#lameDuckStep = this.#after(waitMs, () => this.#closeNext(clients, everyMs));
  }

  #session(socket: Socket, permissions: Permissions | undefined): Session | undefined {
    let session = this.#sessions.get(socket);
    if (session === undefined && socket.brokerOpen) {
      session = new Session(socket, this, permissions);
      this.#sessions.set(socket, session);
    }
    return session;
  }

  #makeInfo(urls: readonly string[] = []): Info {
    const info = { server_name: this.name, max_payload: this.#options.maxPayload, headers: true };
    return urls.length === 0 ? info : { ...info, connect_urls: [...urls] };
  }

  #planPings(): void {
    this.#pingStep = this.#after(this.#options.pingIntervalMs, () => {
      for (const session of [...this.#sessions.values()]) if (!session.ping()) session.close("Stale Connection");
      this.#planPings();
    });
  }

  #after(ms: number, work: () => void): Scheduled {
    return this.#world.at(this.#world.now() + ms, () => this.whenRunning(work));
  }

  #cancelSteps(): void {
    this.#world.cancel(this.#lameDuckStep);
    this.#world.cancel(this.#pingStep);
  }
}
