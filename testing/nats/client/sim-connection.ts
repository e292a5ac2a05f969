/**
 * A client's connection: what nats.js does with the same calls.
 *
 * Decided here: what a caller can do and what it hears. Not decided here: what
 * is sent when, and how a connection is had back (protocol.ts).
 */
import {
  ClosedConnectionError,
  InvalidArgumentError,
  InvalidSubjectError,
  type Msg,
  type MsgHdrs,
  NoRespondersError,
  type Payload,
  type PermissionViolationError,
  type PublishOptions,
  RequestError,
  type RequestOptions,
  type ServerInfo,
  type Status,
  type Subscription,
  type SubscriptionOptions,
  TimeoutError,
} from "nats";
import type { Connection } from "../../../mesh/link/connection.js";
import type { Runtime } from "../../../mesh/link/runtime.js";
import type { SimProcess } from "../../sim/world.js";
import type { Message, ToBroker, ToClient } from "../wire/commands.js";
import type { Socket } from "../wire/socket.js";
import { type ConnectOptions, Protocol } from "./protocol.js";
import { SimMessage } from "./sim-message.js";
import { SimSubscription } from "./sim-subscription.js";
import { StatusQueue } from "./status-queue.js";

export type { ConnectOptions };

/** Opens a socket to a broker by its name. */
export type OpenSocket = (broker: string, connection: SimConnection) => Socket;

const REQUEST_TIMEOUT_MS = 1_000;
const NO_BYTES = new Uint8Array(0);
const encoder = new TextEncoder();

/** A connection of one process. */
export class SimConnection implements Connection {
  readonly #runtime: Runtime;
  readonly #protocol: Protocol;
  readonly #subscriptions = new Map<number, SimSubscription>();
  readonly #statuses = new Set<StatusQueue>();
  readonly #closedPromise: Promise<undefined | Error>;
  #settleClosed!: (error: undefined | Error) => void;
  #lastSid = 0;

  /** @param onConnected called when there is a connection, for the first time and again */
  constructor(
    process: SimProcess,
    options: ConnectOptions & { servers: readonly string[] },
    open: OpenSocket,
    onConnected: () => void,
  ) {
    this.#runtime = process.runtime;
    this.#closedPromise = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    this.#protocol = new Protocol(process, options, {
      openSocket: (broker) => open(broker, this),
      onMessage: (sid, message) => this.#subscriptions.get(sid)?.take(new SimMessage(message, sid, this)),
      onViolation: (violation) => this.#onViolation(violation),
      subscriptions: () => [...this.#subscriptions.values()].map(subCommand),
      onStatus: (status) => this.#tell(status),
      onConnected,
    });
    this.#protocol.start();
  }

  get info(): ServerInfo | undefined {
    return this.isClosed() ? undefined : (this.#protocol.info as ServerInfo | undefined);
  }

  /** The broker that it is at, or was at last. */
  getServer(): string {
    return this.#protocol.server;
  }

  isClosed(): boolean {
    return this.#protocol.closed;
  }

  /** What the library of JetStream asks of a connection: the broker can do all that it knows. */
  readonly features = { get: () => ({ ok: true, min: "" }) };
  readonly options = {};

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
    const { info } = this.#protocol;
    if (info !== undefined && message.bytes.length > info.max_payload) {
      throw InvalidArgumentError.format("payload", "max_payload size exceeded");
    }
    this.#protocol.send({ op: "pub", message });
  }

  /** @throws ClosedConnectionError, InvalidSubjectError, InvalidOperationError without a callback */
  subscribe(subject: string, options: SubscriptionOptions = {}): Subscription {
    this.#check(subject);
    this.#lastSid += 1;
    const sid = this.#lastSid;
    const host = {
      isClosed: () => this.isClosed(),
      sendUnsub: (max?: number) => this.#protocol.send({ op: "unsub", sid, max }),
      flush: () => this.flush(),
      forget: () => this.#subscriptions.delete(sid),
    };
    const subscription = new SimSubscription(host, sid, subject, options);
    this.#subscriptions.set(sid, subscription);
    this.#protocol.send(subCommand(subscription));
    if (options.max) host.sendUnsub(options.max);
    return subscription;
  }

  /** Rejects when the connection is closed, or when it ends before the answer; hangs when it is closed meanwhile. */
  flush(): Promise<void> {
    if (this.isClosed()) return Promise.reject(new ClosedConnectionError());
    return new Promise((resolve, reject) => {
      this.#protocol.ping((answered) => (answered ? resolve() : reject(new RequestError("connection disconnected"))));
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
          const cause = new NoRespondersError(subject);
          return reject(new RequestError(cause.message, { cause }));
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

  avoidBroker(): void {
    this.#protocol.avoidBroker();
  }

  reconnect(): Promise<void> {
    if (this.isClosed()) return Promise.reject(new ClosedConnectionError());
    this.#protocol.reconnect();
    return Promise.resolve();
  }

  close(): Promise<void> {
    if (this.isClosed()) return Promise.resolve();
    this.#protocol.close();
    for (const each of this.#subscriptions.values()) each.end();
    this.#tell({ type: "close" });
    for (const each of this.#statuses) each.end();
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
    this.#protocol.kill();
  }

  /** Bytes have arrived at the process's socket. */
  arrive(socket: Socket, commands: ToClient[]): void {
    this.#protocol.arrive(socket, commands);
  }

  /** A subscription that the broker refuses ends; a publish that it refuses is a status only. */
  #onViolation(violation: PermissionViolationError): void {
    if (violation.operation !== "subscription") return;
    const isMeant = (each: SimSubscription): boolean =>
      each.getSubject() === violation.subject && each.queue === violation.queue;
    const subscription = [...this.#subscriptions.values()].find(isMeant);
    subscription?.end(violation);
    if (subscription !== undefined) this.#subscriptions.delete(subscription.sid);
  }

  #tell(status: Status): void {
    for (const each of this.#statuses) each.push(status);
  }

  #check(subject: string): void {
    if (this.isClosed()) throw new ClosedConnectionError();
    if (subject === "" || /\s/.test(subject)) throw new InvalidSubjectError(subject);
  }
}

function subCommand(subscription: SimSubscription): ToBroker {
  const { sid, queue } = subscription;
  return { op: "sub", sid, subject: subscription.getSubject(), queue };
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
