/**
 * All brokers of a network: one cluster in a full mesh, or a single broker.
 *
 * Decided here: who is connected to whom when, and which URLs clients are told.
 */
import type { World } from "../../sim/world.js";
import { LinkDirection } from "../wire/link.js";
import { Broker, type BrokerOptions, type LameDuckOptions } from "./broker.js";

/** How the brokers of a network reach each other. */
export interface ClusterOptions {
  /** Milliseconds from one broker to another; default 0.2. */
  routeDelayMs?: number;
  /** A broker that is started again finds each of the others within this, in milliseconds; default 1,000. */
  routeRedialMs?: number;
}

const ROUTE_DELAY_MS = 0.2;
const ROUTE_REDIAL_MS = 1_000;

/** The brokers by name. */
export class Cluster {
  readonly #world: World;
  readonly #routeDelayMs: number;
  readonly #routeRedialMs: number;
  readonly #brokers = new Map<string, Broker>();
  readonly #wires = new Map<string, LinkDirection>();

  constructor(world: World, options: ClusterOptions) {
    this.#world = world;
    this.#routeDelayMs = options.routeDelayMs ?? ROUTE_DELAY_MS;
    this.#routeRedialMs = options.routeRedialMs ?? ROUTE_REDIAL_MS;
  }

  get names(): Iterable<string> {
    return this.#brokers.keys();
  }

  /** @throws Error for a name that was not added */
  get(name: string): Broker {
    const broker = this.#brokers.get(name);
    if (broker === undefined) throw new Error(`no broker is called ${name}`);
    return broker;
  }

  find(name: string): Broker | undefined {
    return this.#brokers.get(name);
  }

  /** Adds a running broker that knows the others at once. */
  add(name: string, options: BrokerOptions): Broker {
    if (this.#brokers.has(name)) throw new Error(`there is a broker called ${name}`);
    const broker = new Broker(this.#world, name, options);
    for (const other of this.#brokers.values()) this.#join(broker, other);
    this.#brokers.set(name, broker);
    this.#tellUrls();
    return broker;
  }

  /** SIGKILL. The others notice a moment later. */
  kill(name: string): void {
    const broker = this.get(name);
    broker.kill();
    this.#after(this.#routeDelayMs, () => this.#noticeEnd(broker));
  }

  /** Runs a killed broker again; it finds the others after a while, each by chance. */
  start(name: string, options: BrokerOptions): void {
    const broker = this.get(name);
    broker.start(options);
    for (const other of this.#brokers.values()) {
      const lives = [broker.life, other.life] as const;
      const join = (): void => this.#join(broker, other, lives);
      if (other !== broker) this.#after(this.#world.random() * this.#routeRedialMs, join);
    }
    this.#tellUrls();
  }

  lameDuck(name: string, options: LameDuckOptions): void {
    const broker = this.get(name);
    const others = [...this.#brokers.values()].filter((each) => each !== broker && each.accepting);
    const urls = others.map((each) => each.name);
    broker.lameDuck(urls, { ...options, ended: () => this.#noticeEnd(broker) });
    this.#after(this.#routeDelayMs, () => this.#tellUrls());
  }

  /** The wires from one broker to another; both directions when `from` and `to` are named in turn. */
  wire(from: string, to: string): LinkDirection {
    const key = `${from} ${to}`;
    let wire = this.#wires.get(key);
    if (wire === undefined) {
      wire = new LinkDirection();
      wire.set({ delayMs: this.#routeDelayMs });
      this.#wires.set(key, wire);
    }
    return wire;
  }

  /** Connects two brokers when both run. One that stands still first notices what had ended meanwhile. */
  #join(a: Broker, b: Broker, lives: readonly [number, number] = [a.life, b.life]): void {
    if (a.life !== lives[0] || b.life !== lives[1]) return;
    a.whenRunning(() => {
      if (b.paused) return b.whenRunning(() => this.#join(a, b, lives));
      if (!b.running || b.life !== lives[1]) return;
      a.connectTo(b, this.wire(a.name, b.name));
      b.connectTo(a, this.wire(b.name, a.name));
    });
  }

  #noticeEnd(gone: Broker): void {
    if (gone.running) return;
    for (const broker of this.#brokers.values()) broker.whenRunning(() => broker.disconnectFrom(gone.name));
    this.#tellUrls();
  }

  #tellUrls(): void {
    if (this.#brokers.size < 2) return;
    const urls = [...this.#brokers.values()].filter((each) => each.accepting).map((each) => each.name);
    for (const broker of this.#brokers.values()) broker.whenRunning(() => broker.setUrls(urls));
  }

  #after(ms: number, work: () => void): void {
    this.#world.at(this.#world.now() + ms, work);
  }
}
