/**
 * A client's side of the protocol: what nats.js' handler of that name does.
 *
 * Decided here: what is sent when, what is lost with a connection, and which
 * statuses there are. Not decided here: which broker is tried when (dialer.ts),
 * what a caller can do (sim-connection.ts).
 */
import { PermissionViolationError, ProtocolError, type Status } from "nats";
import type { Runtime, Timer } from "../../../mesh/link/runtime.js";
import type { SimProcess } from "../../sim/world.js";
import { CONNECT, type Info, type Message, PING, PONG, type ToBroker, type ToClient } from "../wire/commands.js";
import type { Socket } from "../wire/socket.js";
import { Dialer } from "./dialer.js";
import { Pings } from "./pings.js";
import { type KnownServer, ServerList } from "./server-list.js";

/** How a simulated client connects. */
export interface ConnectOptions {
  /** Names of brokers; default all that the network has. */
  servers?: readonly string[];
  /** How often the broker is pinged, in milliseconds; default 5,000. */
  pingIntervalMs?: number;
  /** How many pings may be unanswered; default 2. */
  maxPingOut?: number;
  /** How long one attempt may take, in milliseconds; default 5,000. */
  timeoutMs?: number;
}

/** What the protocol asks of its connection. */
export interface ProtocolHost {
  /** Opens a socket to a broker. */
  openSocket(broker: string): Socket;
  /** A message came. */
  onMessage(sid: number, message: Message): void;
  /** The broker refuses something. */
  onViolation(violation: PermissionViolationError): void;
  /** What a new connection has to subscribe to. */
  subscriptions(): Iterable<ToBroker>;
  onStatus(status: Status): void;
  /** There is a connection, for the first time or again. */
  onConnected(): void;
}

/** Called with whether a ping was answered; false when the connection ends before. */
type Pong = (answered: boolean) => void;

const PING_INTERVAL_MS = 5_000;
const MAX_PING_OUT = 2;
const DIAL_TIMEOUT_MS = 5_000;
const REDIAL_TURNS = 6;

/** The protocol of one connection. */
export class Protocol {
  readonly #process: SimProcess;
  readonly #runtime: Runtime;
  readonly #host: ProtocolHost;
  readonly #timeoutMs: number;
  readonly #servers: ServerList;
  readonly #dialer: Dialer;
  readonly #pings: Pings;
  #socket: Socket | undefined;
  #socketEnded = false;
  #unread: ToClient[] = [];
  #readPlanned = false;
  #connected = false;
  #closed = false;
  #info: Info | undefined;
  #outbound: ToBroker[] = [];
  #pongs: Pong[] = [];
  #dialEnd: ((connected: boolean) => void) | undefined;
  #dialTimer: Timer | undefined;
  /** One "reconnect" for each "disconnect", as in nats.js. */
  #reconnectsToTell = 0;

  constructor(process: SimProcess, options: ConnectOptions & { servers: readonly string[] }, host: ProtocolHost) {
    this.#process = process;
    this.#runtime = process.runtime;
    this.#host = host;
    this.#timeoutMs = options.timeoutMs ?? DIAL_TIMEOUT_MS;
    this.#servers = new ServerList(options.servers, () => this.#runtime.random());
    this.#pings = this.#makePings(options);
    this.#dialer = new Dialer(this.#runtime, this.#servers, {
      isClosed: () => this.#closed,
      dial: (server, end) => this.#dial(server, end),
      onConnected: () => this.#tellConnected(),
    });
  }

  get info(): Info | undefined {
    return this.#info;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The broker that it is at, or was at last. */
  get server(): string {
    return this.#servers.current.name;
  }

  /** Begins to connect. */
  start(): void {
    this.#dialer.start();
  }

  /** Like nats.js: what is sent goes out at once when there is a connection, else waits for one. */
  send(command: ToBroker): void {
    if (this.#connected) this.#socket?.toBroker(command);
    else this.#outbound.push(command);
  }

  ping(pong: Pong): void {
    this.#pongs.push(pong);
    this.send(PING);
  }

  avoidBroker(): void {
    this.#dialer.avoidLast();
  }

  /** Ends the connection in order to make a new one, if there is one. */
  reconnect(): void {
    if (!this.#connected) return;
    this.#host.onStatus({ type: "forceReconnect" });
    this.#disconnect();
  }

  close(): void {
    this.#closed = true;
    this.#connected = false;
    this.#pings.cancel();
    this.#runtime.cancel(this.#dialTimer);
    this.#socket?.closeClient();
  }

  /** The process dies: its end of the connection is closed by its kernel. */
  kill(): void {
    this.#closed = true;
    this.#socket?.killClient();
  }

  /** Bytes have arrived at the process's socket; it reads them when it can. */
  arrive(socket: Socket, commands: ToClient[]): void {
    if (socket !== this.#socket) return;
    if (this.#unread.length === 0) this.#unread = commands;
    else for (const each of commands) this.#unread.push(each);
    if (this.#readPlanned) return;
    this.#readPlanned = true;
    this.#process.receive(this.#read);
  }

  readonly #read = (): void => {
    this.#readPlanned = false;
    const socket = this.#socket;
    const commands = this.#unread;
    this.#unread = [];
    for (const command of commands) {
      if (this.#closed || socket !== this.#socket || this.#socketEnded) return;
      this.#take(command);
    }
  };

  #take(command: ToClient): void {
    switch (command.op) {
      case "msg":
        return this.#host.onMessage(command.sid, command.message);
      case "pong":
        return this.#pongs.shift()?.(true);
      case "ping":
        return this.#socket?.toBroker(PONG);
      case "info":
        return this.#takeInfo(command.info);
      case "err":
        return this.#takeError(command.text);
      default:
        return this.#onEnd();
    }
  }

  #takeInfo(info: Info): void {
    const isFirst = this.#info === undefined;
    this.#info = info;
    const { added, deleted } = this.#servers.update(info);
    if (isFirst) {
      this.#socket?.toBroker(CONNECT);
      this.#socket?.toBroker(PING);
    }
    this.#host.onStatus({ type: "update", added, deleted });
    if (info.ldm) this.#host.onStatus({ type: "ldm", server: this.server });
  }

  #takeError(text: string): void {
    const violation = PermissionViolationError.parse(text);
    if (violation !== null) this.#host.onViolation(violation);
    this.#host.onStatus({ type: "error", error: violation ?? new ProtocolError(text) });
  }

  #makePings({ pingIntervalMs = PING_INTERVAL_MS, maxPingOut = MAX_PING_OUT }: ConnectOptions): Pings {
    const host = {
      ping: (end: Pong) => this.ping(end),
      onPing: (pendingPings: number) => this.#host.onStatus({ type: "ping", pendingPings }),
      onStale: () => {
        this.#host.onStatus({ type: "staleConnection" });
        this.#disconnect();
      },
    };
    return new Pings(this.#runtime, host, pingIntervalMs, maxPingOut);
  }

  /** Like nats.js: it waits until its kernel has taken what was written, so a broker that reads nothing can delay it for ever. */
  #disconnect(): void {
    const socket = this.#socket;
    socket?.whenWritten(() => {
      this.#runtime.endOfTurn(() => {
        if (this.#socket === socket && !this.#socketEnded) this.#onEnd();
      });
    });
  }

  /** The socket has ended, or nobody answered where it was to go. */
  #onEnd(): void {
    this.#socket?.closeClient();
    this.#socketEnded = true;
    this.#connected = false;
    if (this.#closed) return;
    if (this.#dialEnd !== undefined && this.#info === undefined) return this.#endDial(false);
    // An end between INFO and the first PONG is a disconnect too; the attempt goes on until its time is over.
    this.#reconnectsToTell += 1;
    this.#host.onStatus({ type: "disconnect", server: this.server });
    void this.#redial();
  }

  /** nats.js is at its first attempt some promises later: readers of the status hear first, then flushes fail. */
  async #redial(): Promise<void> {
    for (let i = 0; i < REDIAL_TURNS; i += 1) await undefined;
    this.#dialer.start();
  }

  #dial(server: KnownServer, end: (connected: boolean) => void): void {
    if (this.#reconnectsToTell > 0) this.#host.onStatus({ type: "reconnecting" });
    this.#prepare();
    this.#dialEnd = end;
    this.#dialTimer = this.#runtime.after(this.#timeoutMs, () => this.#endDial(false));
    this.#socketEnded = false;
    this.#socket = this.#host.openSocket(server.name);
  }

  /** What was to be sent on the old connection is lost, and whoever waits for its answers hears it. */
  #prepare(): void {
    this.#socket?.closeClient();
    this.#unread = [];
    this.#info = undefined;
    this.#outbound = [];
    const pongs = this.#pongs;
    this.#pongs = [() => this.#onHandshake()];
    for (const pong of pongs) pong(false);
  }

  #onHandshake(): void {
    if (this.#dialEnd === undefined) return;
    this.#connected = true;
    for (const command of this.#host.subscriptions()) this.#socket?.toBroker(command);
    for (const command of this.#outbound) this.#socket?.toBroker(command);
    this.#outbound = [];
    this.#pings.start();
    this.#endDial(true);
  }

  #endDial(connected: boolean): void {
    this.#runtime.cancel(this.#dialTimer);
    if (!connected) this.#socket?.closeClient();
    const end = this.#dialEnd;
    this.#dialEnd = undefined;
    end?.(connected);
  }

  #tellConnected(): void {
    this.#host.onConnected();
    const count = this.#reconnectsToTell;
    this.#reconnectsToTell = 0;
    for (let i = 0; i < count; i += 1) this.#host.onStatus({ type: "reconnect", server: this.server });
  }
}
