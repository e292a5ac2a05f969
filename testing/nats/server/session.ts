/**
 * A client's connection as its broker sees it: its subscriptions and what it may do.
 *
 * Decided here: what each command of the client does. Not decided here: who
 * gets a message (router.ts).
 */
import { type Info, type Message, PING, PONG, plainMessage, type ToBroker, type ToClient } from "../wire/commands.js";
import type { Socket } from "../wire/socket.js";
import { CompiledRule, type Permissions } from "./permissions.js";
import type { Subscriber } from "./route.js";
import { SubjectPattern } from "./subject-match.js";

/** What a session asks of its broker. */
export interface SessionHost {
  info(): Info;
  add(subscriber: Subscriber): void;
  remove(subscriber: Subscriber): void;
  /** Says whether anybody was there to get it. */
  route(message: Message): boolean;
  /** The session has ended. */
  ended(session: Session): void;
}

/** A subscription of a client. */
class ClientSubscriber implements Subscriber {
  readonly subject: string;
  readonly queue: string | undefined;
  readonly sid: number;
  readonly session: Session;
  max: number | undefined;
  readonly #pattern: SubjectPattern;
  #delivered = 0;

  constructor(session: Session, sid: number, subject: string, queue: string | undefined) {
    this.session = session;
    this.sid = sid;
    this.subject = subject;
    this.queue = queue;
    this.#pattern = new SubjectPattern(subject);
  }

  listensTo(subject: string): boolean {
    return this.#pattern.matches(subject);
  }

  /** Whether the limit that the client has set is reached. */
  get isFull(): boolean {
    return this.max !== undefined && this.#delivered >= this.max;
  }

  deliver(message: Message): boolean {
    if (this.session.closed || this.isFull) return false;
    this.#delivered += 1;
    this.session.send({ op: "msg", sid: this.sid, message });
    if (this.isFull) this.session.forget(this.sid);
    return true;
  }
}

const NO_RESPONDERS = "NATS/1.0 503\r\n";

/** One client at one broker. */
export class Session {
  readonly socket: Socket;
  readonly #host: SessionHost;
  readonly #subscribers = new Map<number, ClientSubscriber>();
  #mayPublish: CompiledRule | undefined;
  #maySubscribe: CompiledRule | undefined;
  #closed = false;
  #heard = true;
  #pingsOut = 0;

  constructor(socket: Socket, host: SessionHost, permissions: Permissions | undefined) {
    this.socket = socket;
    this.#host = host;
    this.setPermissions(permissions);
  }

  get closed(): boolean {
    return this.#closed;
  }

  send(command: ToClient): void {
    this.socket.toClient(command);
  }

  /** Takes new permissions, as after a reload: what is no longer allowed ends with an error. */
  setPermissions(permissions: Permissions | undefined): void {
    this.#mayPublish = permissions?.publish === undefined ? undefined : new CompiledRule(permissions.publish);
    this.#maySubscribe = permissions?.subscribe === undefined ? undefined : new CompiledRule(permissions.subscribe);
    for (const each of [...this.#subscribers.values()]) {
      if (this.#maySubscribe?.allows(each.subject) ?? true) continue;
      this.#refuseSubscription(each.subject, each.queue, ` (sid "${each.sid}")`);
      this.forget(each.sid);
    }
  }

  /** What the client wrote, in order. */
  take(commands: readonly ToBroker[]): void {
    this.#heard = true;
    for (const command of commands) {
      if (this.#closed) return;
      this.#take(command);
    }
  }

  /** Pings a client of whom nothing was heard; says whether it has answered the last two. */
  ping(): boolean {
    if (this.#heard) this.#pingsOut = 0;
    this.#heard = false;
    if (this.#pingsOut >= 2) return false;
    this.#pingsOut += 1;
    this.send(PING);
    return true;
  }

  /** Ends the session at the broker's side; `text` is the error that the client hears first. */
  close(text?: string): void {
    if (this.#closed) return;
    if (text !== undefined) this.send({ op: "err", text });
    this.socket.closeBroker();
    this.#end();
  }

  /** The broker's process dies. */
  kill(): void {
    this.socket.killBroker();
    this.#end();
  }

  /** Ends a subscription. */
  forget(sid: number): void {
    const subscriber = this.#subscribers.get(sid);
    if (subscriber === undefined) return;
    this.#subscribers.delete(sid);
    this.#host.remove(subscriber);
  }

  #take(command: ToBroker): void {
    switch (command.op) {
      case "pub":
        return this.#publish(command.message);
      case "ping":
        return this.send(PONG);
      case "sub":
        return this.#subscribe(command.sid, command.subject, command.queue);
      case "unsub":
        return this.#unsubscribe(command.sid, command.max);
      case "open":
        return this.send({ op: "info", info: this.#host.info() });
      case "end":
        return this.#end();
      default:
        return undefined;
    }
  }

  #publish(message: Message): void {
    if (message.bytes.length > this.#host.info().max_payload) return this.close("Maximum Payload Violation");
    if (!(this.#mayPublish?.allows(message.subject) ?? true)) {
      this.send({ op: "err", text: `Permissions Violation for Publish to "${message.subject}"` });
      return;
    }
    if (!this.#host.route(message) && message.reply !== "") this.#tellNoResponders(message);
  }

  /** Like nats-server: only a client that listens to its own reply subject is told. */
  #tellNoResponders(message: Message): void {
    for (const each of this.#subscribers.values()) {
      if (each.queue !== undefined || !each.listensTo(message.reply)) continue;
      const text = `${NO_RESPONDERS}Nats-Subject: ${message.subject}\r\n\r\n`;
      const bytes = Buffer.from(text);
      this.send({
        op: "msg",
        sid: each.sid,
        message: { ...plainMessage(message.reply, ""), bytes, headerBytes: bytes.length },
      });
      return;
    }
  }

  #subscribe(sid: number, subject: string, queue: string | undefined): void {
    if (this.#subscribers.has(sid)) return;
    if (!(this.#maySubscribe?.allows(subject) ?? true)) return this.#refuseSubscription(subject, queue);
    const subscriber = new ClientSubscriber(this, sid, subject, queue);
    this.#subscribers.set(sid, subscriber);
    this.#host.add(subscriber);
  }

  #refuseSubscription(subject: string, queue: string | undefined, which = ""): void {
    const using = queue === undefined ? "" : ` using queue "${queue}"`;
    this.send({ op: "err", text: `Permissions Violation for Subscription to "${subject}"${using}${which}` });
  }

  #unsubscribe(sid: number, max: number | undefined): void {
    const subscriber = this.#subscribers.get(sid);
    if (subscriber === undefined) return;
    subscriber.max = max;
    if (max === undefined || subscriber.isFull) this.forget(sid);
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const each of this.#subscribers.values()) this.#host.remove(each);
    this.#subscribers.clear();
    this.socket.closeBroker();
    this.#host.ended(this);
  }
}
