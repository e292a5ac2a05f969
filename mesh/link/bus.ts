/**
 * The bus: one connection to the NATS broker and what is known of its state.
 *
 * Decided here: reconnect for ever with jitter, refuse to publish while
 * disconnected (nats.js would drop it silently), and keep an exception in a
 * message callback from ending the connection's read loop. Not decided here:
 * what is sent.
 */
import type { Msg, SubscriptionOptions } from "nats";
import { PoolError } from "../errors.js";
import { type Logger, redactUrls, silentLog } from "../process/log.js";
import { RepeatedLines } from "../process/repeated-lines.js";
import { isAnswerable } from "../wire/subjects.js";
import type { BusOptions } from "./broker/bus-options.js";
import { BrokerOptions } from "./broker/options.js";
import { tellOutageCauses } from "./broker/outage-cause.js";
import { reconnectDelayMs } from "./broker/reconnect-delays.js";
import { refusalIn } from "./broker/refusals.js";
import type { Connection } from "./connection.js";
import { DroppedReplies } from "./dropped-replies.js";
import { Handover, type PublishOptions } from "./handover.js";
import { type Runtime, systemRuntime, within } from "./runtime.js";
import { Subscription } from "./subscription.js";

export type { BusOptions };

/** What happens to a connection; from "handover" to "reconnect" what is published is held. */
export type BusEvent = "disconnect" | "reconnect" | "lame-duck" | "handover" | "error";

/** One connection, shared by every part of a process. */
export class Bus {
  /** @internal */
  readonly nc: Connection;
  /** @internal */
  readonly runtime: Runtime;
  readonly inboxPrefix: string;
  /** @internal */
  readonly droppedReplies: DroppedReplies;
  readonly #id: string;
  readonly #log: Logger;
  readonly #listeners = new Map<BusEvent, Set<(detail: string) => void>>();
  readonly #handover: Handover;
  readonly #members = new Set<Subscription>();
  readonly #thrown = new RepeatedLines();
  readonly #reasonsToStay = new Set<() => boolean>();
  #connected = true;
  #closing = false;
  #lameDuck = false;
  #inboxes = 0;
  /** How often the broker has refused something. */
  refusals = 0;

  /**
   * Connects.
   *
   * @throws PoolError `invalid_argument` for a URL or a file that is not what it should be, `bus_unavailable`
   * when there is no broker and waitOnFirstConnect is false, `unauthenticated` when the broker refuses the
   * credentials, `canceled`
   */
  static async connect(options: BusOptions = {}): Promise<Bus> {
    const broker = await BrokerOptions.read(options);
    for (let told = ""; ; ) {
      try {
        const bus = new Bus(await broker.connect(), options, systemRuntime);
        if (options.log !== undefined) tellOutageCauses(bus, broker, options.log);
        return bus;
      } catch (error) {
        const failure = await broker.explain(error);
        if (options.waitOnFirstConnect === false || failure.reason !== "bus_unavailable") throw failure;
        if (failure.message !== told) options.log?.warn({ reason: failure.message }, "waiting for a broker");
        told = failure.message;
      }
      await pause(options.signal);
    }
  }

  /**
   * @internal
   * @param nc an open connection; the bus closes it
   * @param runtime of the process that owns it
   */
  constructor(nc: Connection, options: Pick<BusOptions, "inboxPrefix" | "log">, runtime: Runtime) {
    this.nc = nc;
    this.runtime = runtime;
    this.inboxPrefix = options.inboxPrefix ?? "_INBOX";
    this.#id = runtime.newId();
    this.#log = options.log ?? silentLog;
    this.droppedReplies = new DroppedReplies(this.#log, runtime.now);
    this.#handover = new Handover(nc, runtime, {
      leaveQueues: () => this.#leaveQueues(),
      send: ({ subject, payload, options }) => this.#send(subject, payload, options),
      onHold: () => this.#emit("handover", ""),
      mayGo: () => [...this.#reasonsToStay].every((stays) => !stays()),
      onFailed: () => this.#disconnected(),
    });
    void this.#watch();
  }

  /** Whether a publish would reach the broker now, or as soon as a handover to another one has ended. */
  get connected(): boolean {
    return this.#connected && !this.nc.isClosed();
  }

  /** Whether what is published now waits for the end of a handover to another broker. */
  get handingOver(): boolean {
    return this.#handover.underWay;
  }

  /** How all inboxes of this connection begin: two tokens or more, without the last dot. */
  get inboxRoot(): string {
    return `${this.inboxPrefix}.${this.#id}`;
  }

  /** Whether there is a connection, and another broker to go to: one that we were given, or that this one has told of. */
  get mayMove(): boolean {
    if (!this.connected || this.handingOver) return false;
    const here = this.nc.getServer();
    return this.nc.knowsOthers === true || (this.nc.info?.connect_urls ?? []).some((url) => url !== here);
  }

  /** The prefix of one more inbox of this connection, with its last dot. All of them begin with the same two tokens. */
  newInbox(): string {
    this.#inboxes += 1;
    return `${this.inboxRoot}.${this.#inboxes.toString(36)}.`;
  }

  /** Whether the broker is about to leave: others may have lost their connection to it already. */
  get lameDuck(): boolean {
    return this.#lameDuck;
  }

  /** The broker's limit on headers and payload together, in bytes. */
  get maxPayloadBytes(): number {
    return this.nc.info?.max_payload ?? 1024 * 1024;
  }

  /** Settles when the connection is closed for good, with an error when we did not close it. */
  get closed(): Promise<Error | undefined> {
    return this.nc.closed().then((error) => {
      if (this.#closing) return undefined;
      return error instanceof Error ? error : new PoolError("bus_unavailable", "the broker closed the connection");
    });
  }

  /** @throws PoolError `bus_unavailable` */
  requireConnected(): void {
    if (!this.connected) {
      throw new PoolError("bus_unavailable", "not connected to the broker", { retryAfterMs: 500 });
    }
  }

  /** Whether there is a reply subject that may be answered; one that is no inbox is told and counted. */
  mayAnswer(reply: string | undefined): reply is string {
    if (isAnswerable(reply, this.inboxPrefix)) return true;
    if (reply) this.droppedReplies.add(reply);
    return false;
  }

  /** Calls `listener` on every such event; returns the function that stops it. */
  on(event: BusEvent, listener: (detail: string) => void): () => void {
    const set = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, set);
    set.add(listener);
    return () => set.delete(listener);
  }

  /**
   * Asks before a handover whether there is a reason to stay a little, such as an
   * answer that is due from the broker we are at; heeded for a second at most.
   *
   * @returns the function that stops it
   */
  stayWhile(stays: () => boolean): () => void {
    this.#reasonsToStay.add(stays);
    return () => this.#reasonsToStay.delete(stays);
  }

  /**
   * Subscribes with a callback that may throw without harm.
   *
   * @param queue the queue group, if any; it is left before a handover, and joined again after it
   */
  subscribe(subject: string, callback: (msg: Msg) => void, queue?: string): Subscription {
    const options = { callback: this.#guarded(subject, callback), ...(queue === undefined ? {} : { queue }) };
    const subscription = new Subscription(subject, () => this.nc.subscribe(subject, options));
    if (queue !== undefined) this.#addMember(subscription);
    return subscription;
  }

  /** Publishes when connected; says whether it did, or will after a handover. Never throws: what the broker cannot take is logged. */
  publish(subject: string, payload?: Uint8Array, options?: PublishOptions): boolean {
    if (!this.connected || this.nc.isDraining()) return false;
    if (this.#handover.underWay) return this.#handover.hold({ subject, payload, options });
    return this.#send(subject, payload, options);
  }

  /** A round trip to the broker; false when it did not end within `limitMs`. */
  async flush(limitMs = 2_000): Promise<boolean> {
    if (!this.connected) return false;
    const arrived = this.#handover.ended
      .then(() => this.nc.flush())
      .then(
        () => true,
        () => false,
      );
    return within(this.runtime, limitMs, arrived, false);
  }

  /** Leaves the broker for another one, as when the connection breaks. @param why for the log */
  move(why: string): void {
    this.#log.warn({ why }, "leaving the broker for another one");
    this.nc.avoidBroker?.();
    void this.nc.reconnect().catch(() => {});
  }

  /** Flushes with a limit and closes. Works while disconnected and twice. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.nc.isClosed()) return;
    this.#handover.end();
    await this.flush(1_000);
    await this.nc.close();
  }

  #guarded(subject: string, callback: (msg: Msg) => void): NonNullable<SubscriptionOptions["callback"]> {
    return (error, msg) => {
      if (error !== null) {
        this.#log.error({ subject, error: error.message }, "subscription failed");
        this.#emit("error", error.message);
        return;
      }
      try {
        callback(msg);
      } catch (thrown) {
        const times = this.#thrown.happened(subject, this.runtime.now());
        if (times > 0) this.#log.error({ subject, times, error: String(thrown) }, "message callback threw");
      }
    };
  }

  #addMember(added: Subscription): void {
    for (const member of this.#members) if (member.isClosed) this.#members.delete(member);
    this.#members.add(added);
  }

  #send(subject: string, payload?: Uint8Array, options?: PublishOptions): boolean {
    try {
      this.nc.publish(subject, payload, options);
      return true;
    } catch (thrown) {
      const bytes = payload?.length ?? 0;
      this.#log.error({ subject, bytes, error: String(thrown) }, "a message could not be sent");
      return false;
    }
  }

  /** Nothing new comes from the queue groups of a broker that goes; resolves when what was on its way has come. */
  async #leaveQueues(): Promise<void> {
    await Promise.all([...this.#members].map((member) => member.leave()));
  }

  #emit(event: BusEvent, detail: string): void {
    for (const listener of this.#listeners.get(event) ?? []) {
      try {
        listener(detail);
      } catch (thrown) {
        this.#log.error({ event, error: String(thrown) }, "a listener threw");
      }
    }
  }

  async #watch(): Promise<void> {
    for await (const status of this.nc.status()) {
      switch (status.type) {
        case "disconnect":
          if (this.#handover.underWay) break;
          this.#handover.forget();
          this.#disconnected();
          break;
        case "reconnect":
          this.#connected = true;
          this.#lameDuck = false;
          for (const member of this.#members) member.rejoin();
          this.#handover.end();
          this.#log.info({ server: redactUrls([status.server])[0] }, "reconnected to the broker");
          this.#emit("reconnect", status.server);
          break;
        case "ldm":
          this.#log.info("the broker enters lame duck mode");
          this.#lameDuck = true;
          this.#emit("lame-duck", status.server);
          if (!this.#closing) void this.#handover.begin();
          break;
        case "error":
          this.#log.warn({ error: status.error.message }, "the broker reports an error");
          if (refusalIn(status.error.message) !== undefined) this.refusals += 1;
          this.#emit("error", status.error.message);
          break;
        default:
          break;
      }
    }
    this.#connected = false;
  }

  #disconnected(): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.#log.warn("disconnected from the broker");
    this.#emit("disconnect", "");
  }
}

async function pause(signal: AbortSignal | undefined): Promise<void> {
  const canceled = (): PoolError => new PoolError("canceled", "stopped before there was a broker");
  if (signal?.aborted) throw canceled();
  await new Promise<void>((resolve) => {
    const wake = (): void => {
      systemRuntime.cancel(timer);
      signal?.removeEventListener("abort", wake);
      resolve();
    };
    const timer = systemRuntime.after(reconnectDelayMs(systemRuntime), wake);
    signal?.addEventListener("abort", wake);
  });
  if (signal?.aborted) throw canceled();
}
