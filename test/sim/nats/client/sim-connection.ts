/**
 * A client's connection: what nats.js does with the same calls.
 *
 * Decided here: what is sent when, what is lost with a connection, and what a
 * caller hears. Not decided here: which broker is tried when (dialer.ts).
 */
import {
  ClosedConnectionError,
  InvalidArgumentError,
  InvalidSubjectError,
  type Msg,
  type MsgHdrs,
  NoRespondersError,
  type Payload,
  PermissionViolationError,
  ProtocolError,
  type PublishOptions,
  RequestError,
  type RequestOptions,
  type ServerInfo,
  type Status,
  type Subscription,
  type SubscriptionOptions,
  TimeoutError,
} from "nats";
import type { Connection } from "../../../../mesh/link/connection.js";
import type { Runtime, Timer } from "../../../../mesh/link/runtime.js";
import type { SimProcess } from "../../world.js";
import { CONNECT, type Info, type Message, PING, PONG, type ToBroker, type ToClient } from "../wire/commands.js";
import type { Socket } from "../wire/socket.js";
import { Dialer } from "./dialer.js";
import { Pings } from "./pings.js";
import { type KnownServer, ServerList } from "./server-list.js";
import { SimMessage } from "./sim-message.js";
import { SimSubscription } from "./sim-subscription.js";
import { StatusQueue } from "./status-queue.js";

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

/** Opens a socket to a broker by its name. */
export type OpenSocket = (broker: string, connection: SimConnection) => Socket;

type Pong = (answered: boolean) => void;

const PING_INTERVAL_MS = 5_000;
const MAX_PING_OUT = 2;
const DIAL_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 1_000;
const REDIAL_TURNS = 6;
const NO_BYTES = new Uint8Array(0);
const encoder = new TextEncoder();
const CLOSED: Status = { type: "close" };

/** A connection of one process. */
export class SimConnection implements Connection {
  readonly #process: SimProcess;
  readonly #runtime: Runtime;
  readonly #openSocket: OpenSocket;
  readonly #timeoutMs: number;
  readonly #servers: ServerList;
  readonly #dialer: Dialer;
  readonly #pings: Pings;
  readonly #subscriptions = new Map<number, SimSubscription>();
  readonly #statuses = new Set<StatusQueue>();
  readonly #closedPromise: Promise<undefined | Error>;
  #settleClosed!: (error: undefined | Error) => void;
  #onFirst: (() => void) | undefined;
  #lastSid = 0;
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
  /** How many readers of the status wait to hear of a reconnect: one for each disconnect, as in nats.js. */
  #reconnectsToTell = 0;

  /** @param onFirst called when there is a connection for the first time */
  constructor(
    process: SimProcess,
    options: ConnectOptions & { servers: readonly string[] },
    open: OpenSocket,
    onFirst: () => void,
  ) {
    this.#process = process;
    this.#runtime = process.runtime;
    this.#openSocket = open;
    this.#onFirst = onFirst;
    this.#timeoutMs = options.timeoutMs ?? DIAL_TIMEOUT_MS;
    this.#servers = new ServerList(options.servers, () => this.#runtime.random());
    this.#closedPromise = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    this.#pings = new Pings(
      this.#runtime,
      {
        ping: (end) => this.#ping(end),
        onPing: (pendingPings) => this.#tell({ type: "ping", pendingPings }),
        onStale: () => this.#stale(),
      },
      options.pingIntervalMs ?? PING_INTERVAL_MS,
      options.maxPingOut ?? MAX_PING_OUT,
    );
    this.#dialer = new Dialer(this.#runtime, this.#servers, {
      isClosed: () => this.#closed,
      dial: (server, end) => this.#dial(server, end),
      onConnected: () => this.#tellReconnected(),
    });
    this.#dialer.start();
  }

  get info(): ServerInfo | undefined {
    return this.#closed ? undefined : (this.#info as ServerInfo | undefined);
  }

  /** The broker that it is at, or was at last. */
  getServer(): string {
    return this.#servers.current.name;
  }

  isClosed(): boolean {
    return this.#closed;
  }

  /** Always false: draining a whole connection is not modelled. */
  isDraining(): boolean {
    return false;
  }

  closed(): Promise<undefined | Error> {
    return this.#closedPromise;
  }

  /** @throws InvalidArgumentError over the broker's max_payload, ClosedConnectionError, InvalidSubjectError */
  publish(subject: string, payload: Payload = NO_BYTES, options: PublishOptions = {}): void {
    this.#check(subject);
    const message = encode(subject, payload, options);
    if (this.#info !== undefined && message.bytes.length > this.#info.max_payload) {
      throw InvalidArgumentError.format("payload", "max_payload size exceeded");
    }
    this.#send({ op: "pub", message });
  }

  /** @throws ClosedConnectionError, InvalidSubjectError, InvalidOperationError without a callback */
  subscribe(subject: string, options: SubscriptionOptions = {}): Subscription {
    this.#check(subject);
    this.#lastSid += 1;
    const sid = this.#lastSid;
    const subscription = new SimSubscription(
      {
        isClosed: () => this.#closed,
        sendUnsub: (unsub, max) => this.#send({ op: "unsub", sid: unsub, max }),
        flush: () => this.flush(),
        forget: () => this.#subscriptions.delete(sid),
      },
      sid,
      subject,
      options,
    );
    this.#subscriptions.set(sid, subscription);
    this.#send({ op: "sub", sid, subject, queue: subscription.queue });
    if (options.max) this.#send({ op: "unsub", sid, max: options.max });
    return subscription;
  }

  /** Rejects when the connection is closed, or when it ends before the answer; hangs when it is closed meanwhile. */
  flush(): Promise<void> {
    if (this.#closed) return Promise.reject(new ClosedConnectionError());
    return new Promise((resolve, reject) => {
      this.#ping((answered) => (answered ? resolve() : reject(new RequestError("connection disconnected"))));
    });
  }

  /** A request with an inbox of its own. */
  request(subject: string, payload?: Payload, options?: RequestOptions): Promise<Msg> {
    return new Promise((resolve, reject) => {
      const inbox = `_INBOX.${this.#runtime.newId()}`;
      const subscription = this.subscribe(inbox, {
        max: 1,
        callback: (_, msg) => {
          this.#runtime.cancel(timer);
          if (msg.data.length > 0 || msg.headers?.code !== 503) return resolve(msg);
          return reject(new RequestError(subject, { cause: new NoRespondersError(subject) }));
        },
      });
      const timer = this.#runtime.after(options?.timeout ?? REQUEST_TIMEOUT_MS, () => {
        subscription.unsubscribe();
        reject(new TimeoutError());
      });
      this.publish(subject, payload, { reply: inbox, ...(options?.headers ? { headers: options.headers } : {}) });
    });
  }

  status(): AsyncIterable<Status> {
    const queue = new StatusQueue();
    this.#statuses.add(queue);
    return queue;
  }

  reconnect(): Promise<void> {
    if (this.#closed) return Promise.reject(new ClosedConnectionError());
    if (!this.#connected) return Promise.resolve();
    this.#tell({ type: "forceReconnect" });
    this.#disconnect();
    return Promise.resolve();
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    this.#connected = false;
    this.#pings.cancel();
    this.#runtime.cancel(this.#dialTimer);
    for (const each of this.#subscriptions.values()) each.end();
    this.#tell(CLOSED);
    for (const each of this.#statuses) each.end();
    this.#socket?.closeClient();
    // The socket ends a turn later; until then readers of the status have read to its end.
    return new Promise((resolve) => {
      this.#runtime.endOfTurn(() => {
        this.#settleClosed(undefined);
        resolve();
      });
    });
  }

  /** The process dies: its end of the connection is closed by its kernel. */
  kill(): void {
    this.#closed = true;
    this.#socket?.killClient();
  }

  /** The socket that it has now, if any. */
  get socket(): Socket | undefined {
    return this.#socket;
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
      case "msg": {
        const subscription = this.#subscriptions.get(command.sid);
        return subscription?.take(new SimMessage(command.message, command.sid, this));
      }
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
    this.#tell({ type: "update", added, deleted });
    if (info.ldm) this.#tell({ type: "ldm", server: this.getServer() });
  }

  #takeError(text: string): void {
    const violation = PermissionViolationError.parse(text);
    if (violation?.operation === "subscription") {
      const isMeant = (each: SimSubscription): boolean =>
        each.getSubject() === violation.subject && each.queue === violation.queue;
      const subscription = [...this.#subscriptions.values()].find(isMeant);
      subscription?.end(violation);
      if (subscription !== undefined) this.#subscriptions.delete(subscription.sid);
    }
    this.#tell({ type: "error", error: violation ?? new ProtocolError(text) });
  }

  /** Like nats.js: what is sent goes out at once when there is a connection, else waits for one. */
  #send(command: ToBroker): void {
    if (this.#connected) this.#socket?.toBroker(command);
    else this.#outbound.push(command);
  }

  #ping(pong: Pong): void {
    this.#pongs.push(pong);
    this.#send(PING);
  }

  #stale(): void {
    this.#tell({ type: "staleConnection" });
    this.#disconnect();
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
    this.#tell({ type: "disconnect", server: this.getServer() });
    void this.#redial();
  }

  /** nats.js is at its first attempt some promises later: readers of the status hear first, then flushes fail. */
  async #redial(): Promise<void> {
    for (let i = 0; i < REDIAL_TURNS; i += 1) await undefined;
    this.#dialer.start();
  }

  #dial(server: KnownServer, end: (connected: boolean) => void): void {
    if (this.#reconnectsToTell > 0) this.#tell({ type: "reconnecting" });
    this.#prepare();
    this.#dialEnd = end;
    this.#dialTimer = this.#runtime.after(this.#timeoutMs, () => this.#endDial(false));
    this.#socketEnded = false;
    this.#socket = this.#openSocket(server.name, this);
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
    for (const each of this.#subscriptions.values()) {
      this.#socket?.toBroker({ op: "sub", sid: each.sid, subject: each.getSubject(), queue: each.queue });
    }
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

  #tellReconnected(): void {
    this.#onFirst?.();
    this.#onFirst = undefined;
    const count = this.#reconnectsToTell;
    this.#reconnectsToTell = 0;
    for (let i = 0; i < count; i += 1) this.#tell({ type: "reconnect", server: this.getServer() });
  }

  #tell(status: Status): void {
    for (const each of this.#statuses) each.push(status);
  }

  #check(subject: string): void {
    if (this.#closed) throw new ClosedConnectionError();
    if (subject === "" || /\s/.test(subject)) throw new InvalidSubjectError(subject);
  }
}

/** What nats.js' own headers and the mesh's can do, beyond their interface. */
type Encodable = MsgHdrs & { encode(): Uint8Array };

function encode(subject: string, payload: Payload, { headers, reply = "" }: PublishOptions): Message {
  const data = typeof payload === "string" ? encoder.encode(payload) : payload;
  if (headers === undefined) return { subject, reply, bytes: data.slice(), headerBytes: 0 };
  const block = (headers as Encodable).encode();
  const bytes = new Uint8Array(block.length + data.length);
  bytes.set(block);
  bytes.set(data, block.length);
  return { subject, reply, bytes, headerBytes: block.length };
}
