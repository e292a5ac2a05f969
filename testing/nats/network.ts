/**
 * NATS, modelled: brokers, the wires to them, and the clients' connections.
 *
 * All brokers of a network are one cluster in a full mesh. Nothing happens by
 * itself: every fault is a call. Time and chance come from the world, so that
 * the same seed gives the same run.
 *
 * What the model does is compared with real brokers by conformance.test.ts; what
 * it does like nats.js was read there and tried. What the model leaves out:
 * - TLS, credentials, accounts, leaf nodes, gateways, websockets, subject mappings, tracing;
 * - TCP's handshake (a round trip less for each attempt to connect), retransmission,
 *   and slow consumers: a broker keeps what a stopped client does not read, without bound;
 * - how long a broker takes for a message: none; how long a client takes: its process decides;
 * - subscriptions without a callback, draining a whole connection, request-many;
 * - subscribe permissions against what a wildcard receives (deny rules inside an allowed wildcard);
 * - what server/jetstream/jetstream.ts leaves out of JetStream, which is off until enableJetStream(); a stream of
 *   addStream() only acknowledges, and lives at one broker;
 * - routes that go stale: a stopped broker stays in its cluster, and partitions of routes hold bytes;
 * - what differs between versions of nats-server: it follows the newest. 2.9.10 names no queue group in
 *   the error for a subscription that a reload has forbidden, so that its client does not learn of it, and answers
 *   nothing to who asks for a stream or a consumer that is not there.
 */
import type { SimProcess, World } from "../sim/world.js";
import { type ConnectOptions, SimConnection } from "./client/sim-connection.js";
import type { Broker, BrokerOptions, LameDuckOptions } from "./server/broker.js";
import { Cluster, type ClusterOptions } from "./server/cluster.js";
import { JetStreamPlace } from "./server/jetstream/place.js";
import type { OnStored, StoredStream } from "./server/jetstream/stored-stream.js";
import type { Permissions } from "./server/permissions.js";
import { Stream, StreamNames } from "./server/stream.js";
import { REFUSED } from "./wire/commands.js";
import type { LinkOptions } from "./wire/link.js";
import { type LinkPart, Links } from "./wire/links.js";
import { Socket } from "./wire/socket.js";

export type { BrokerOptions, ClusterOptions, ConnectOptions, LameDuckOptions, LinkOptions, LinkPart, Permissions };

/** One NATS, and all that connects to it. */
export class SimNetwork {
  readonly #world: World;
  readonly #cluster: Cluster;
  readonly #links: Links;
  readonly #streams = new Map<string, { readonly stream: Stream; readonly broker: string }>();
  readonly #permissions = new Map<string, Permissions>();
  #jetStream: JetStreamPlace | undefined;
  readonly #connections = new Map<SimProcess, Set<SimConnection>>();

  constructor(world: World, options: ClusterOptions = {}) {
    this.#world = world;
    this.#cluster = new Cluster(world, options);
    this.#links = new Links(() => this.#cluster.names);
  }

  /** Names of all brokers, running or not. */
  get brokers(): string[] {
    return [...this.#cluster.names];
  }

  /** Whether a broker runs. A paused one does. */
  isRunning(broker: string): boolean {
    return this.#cluster.get(broker).running;
  }

  /** Adds a running broker. The second makes a cluster, and so on. */
  addBroker(name: string, options: BrokerOptions = {}): void {
    this.#attachStreams(this.#cluster.add(name, options));
  }

  /**
   * SIGKILL: connections end, memory is gone; a part of what it had written last may be lost.
   *
   * @param losesMs its machine loses its power: what its streams stored within this time before is lost, in milliseconds
   * @param keepsConsumers what its consumers did is not lost: they may be newer than their streams then
   */
  killBroker(name: string, losesMs = 0, keepsConsumers = false): void {
    this.#world.trace(`broker ${name} is killed`);
    for (const { stream, broker } of this.#streams.values()) if (broker === name) stream.lose();
    this.#cluster.kill(name);
    this.#jetStream?.lost(name, losesMs, keepsConsumers);
  }

  /** Runs a killed broker again; options that are not given stay as they were. */
  startBroker(name: string, options: BrokerOptions = {}): void {
    this.#world.trace(`broker ${name} starts`);
    this.#cluster.start(name, options);
    this.#attachStreams(this.#cluster.get(name));
  }

  /** SIGSTOP: what arrives waits, clients' pings among it. */
  pauseBroker(name: string): void {
    this.#world.trace(`broker ${name} is stopped`);
    this.#cluster.get(name).pause();
  }

  /** SIGCONT. */
  resumeBroker(name: string): void {
    this.#world.trace(`broker ${name} goes on`);
    this.#cluster.get(name).resume();
  }

  /** SIGUSR2: lame duck mode, and the broker's end after it. */
  lameDuck(name: string, options: LameDuckOptions = {}): void {
    this.#world.trace(`broker ${name} is a lame duck`);
    for (const { stream, broker } of this.#streams.values()) if (broker === name) stream.detach();
    this.#jetStream?.leaves(name);
    this.#cluster.lameDuck(name, options);
  }

  /** Bytes between two brokers wait, in both directions. */
  holdRoute(a: string, b: string): void {
    this.#cluster.wire(a, b).hold();
    this.#cluster.wire(b, a).hold();
  }

  releaseRoute(a: string, b: string): void {
    this.#cluster.wire(a, b).release();
    this.#cluster.wire(b, a).release();
  }

  /**
   * Turns on JetStream at all brokers, so that clients can make streams and consumers.
   *
   * @param onStored hears of every message that a stream has stored, before anybody else does
   */
  enableJetStream(onStored: OnStored = () => {}): void {
    this.#jetStream = new JetStreamPlace(this.#world, this.#cluster, onStored);
  }

  /** The streams that clients have made, as they are now. */
  storedStreams(): StoredStream[] {
    return [...(this.#jetStream?.streams() ?? [])];
  }

  /** Adds a JetStream stream. It lives at one broker, by default the first. */
  addStream(name: string, subjects: readonly string[], broker: string = this.#firstBroker()): void {
    this.removeStream(name);
    const stream = new Stream(this.#world, name, subjects);
    this.#streams.set(name, { stream, broker });
    if (this.#cluster.get(broker).running) stream.attach(this.#cluster.get(broker));
  }

  removeStream(name: string): void {
    this.#streams.get(name)?.stream.detach();
    this.#streams.delete(name);
  }

  /** Changes how bytes travel between a process and its brokers. What is on its way is not touched. */
  setLink(process: SimProcess, options: LinkOptions, broker?: string): void {
    this.#links.set(process, options, broker);
  }

  /** Bytes wait, in order, until {@link releaseLink}. */
  holdLink(process: SimProcess, part: LinkPart = {}): void {
    this.#links.hold(process, part);
  }

  releaseLink(process: SimProcess, part: LinkPart = {}): void {
    this.#links.release(process, part);
  }

  /**
   * Everything on the wires is swallowed and nobody is told. The connections
   * that are open now never work again: their ends learn it from their pings,
   * or from the first byte that they write after {@link healLink}.
   */
  cutLink(process: SimProcess, broker?: string): void {
    this.#links.cut(process, broker);
  }

  /** Ends {@link cutLink} and {@link downLink}: new connections work again. */
  healLink(process: SimProcess, broker?: string): void {
    this.#links.heal(process, broker);
  }

  /**
   * The link is down and everybody knows: connections end, and each attempt to
   * connect is refused at once, until {@link healLink}.
   */
  downLink(process: SimProcess, broker?: string): void {
    this.#links.down(process, broker);
  }

  /** Both ends see their connections end; what is on its way is lost. */
  resetLink(process: SimProcess, broker?: string): void {
    this.#links.reset(process, broker);
  }

  /** Changes what a process's connections may do, now and later; undefined allows everything. */
  setPermissions(process: SimProcess, permissions: Permissions | undefined): void {
    if (permissions === undefined) this.#permissions.delete(process.name);
    else this.#permissions.set(process.name, permissions);
    for (const name of this.#cluster.names) {
      for (const session of this.#cluster.get(name).sessions) {
        if (this.#links.ownerOf(session.socket)?.name === process.name) session.setPermissions(permissions);
      }
    }
  }

  /** Connects; resolves when there is a connection for the first time, whenever that is. */
  connect(process: SimProcess, options: ConnectOptions & { permissions?: Permissions } = {}): Promise<SimConnection> {
    if (options.permissions !== undefined) this.#permissions.set(process.name, options.permissions);
    return new Promise((resolve) => {
      const servers = options.servers ?? this.brokers;
      const open = (broker: string, from: SimConnection): Socket => this.#open(process, broker, from);
      const connection = new SimConnection(process, { ...options, servers }, open, () => resolve(connection));
      const all = this.#connections.get(process) ?? new Set();
      this.#connections.set(process, all.add(connection));
    });
  }

  /** kill -9 of a process: its kernel ends its connections; a part of what it had written last may be lost. */
  killProcess(process: SimProcess): void {
    for (const connection of this.#connections.get(process) ?? []) connection.kill();
    this.#connections.delete(process);
  }

  #open(process: SimProcess, name: string, connection: SimConnection): Socket {
    const broker = this.#cluster.find(name);
    const socket = new Socket(this.#world, this.#links.of(process, name), {
      atClient: (at, commands) => connection.arrive(at, commands),
      atBroker: (at, commands) => {
        if (broker === undefined || at.link.down) return at.toClient(REFUSED);
        return broker.arrive(at, commands, this.#permissions.get(process.name));
      },
    });
    this.#links.opened(socket, process, name);
    return socket;
  }

  #attachStreams(broker: Broker): void {
    new StreamNames(() => [...[...this.#streams.values()].map((each) => each.stream), ...this.storedStreams()]).attach(
      broker,
    );
    this.#jetStream?.started(broker.name);
    for (const { stream, broker: at } of this.#streams.values()) if (at === broker.name) stream.attach(broker);
  }

  #firstBroker(): string {
    const [first] = this.#cluster.names;
    if (first === undefined) throw new Error("there is no broker");
    return first;
  }
}
