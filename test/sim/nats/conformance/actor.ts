/**
 * A client of a script: does its steps on a connection, real or modelled, and
 * logs what it sees. It does not know which of the two it has.
 */
import { headers, type Msg, type Status, type Subscription } from "nats";
import type { Connection } from "../../../../mesh/link/connection.js";
import type { PublishStep, Question, SubscribeOptions } from "./script.js";

/** Every question of a script has its answer, in milliseconds at the most. */
const ASK_LIMIT_MS = 15_000;

/** One client. */
export class Actor {
  /** What it has seen, in order. */
  readonly lines: string[] = [];
  readonly connection: Connection;
  readonly #nameOf: (server: string) => string;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #last = new Map<string, Msg>();

  /** @param nameOf gives a server's name in scripts, such as "b0" */
  constructor(connection: Connection, nameOf: (server: string) => string) {
    this.connection = connection;
    this.#nameOf = nameOf;
    void this.#watch();
    void connection.closed().then((error) => this.#see(error === undefined ? "closed" : "closed with an error"));
  }

  subscribe(name: string, subject: string, { queue, max, leaveAfter }: SubscribeOptions): void {
    let count = 0;
    const callback = (error: Error | null, msg: Msg): void => {
      if (error !== null) return this.#see(`${name} fails: ${error.message}`);
      this.#last.set(name, msg);
      this.#see(`${name}: ${describe(msg)}`);
      count += 1;
      if (count === leaveAfter) subscription.unsubscribe();
    };
    const options = { callback, ...(queue === undefined ? {} : { queue }), ...(max === undefined ? {} : { max }) };
    const subscription = this.connection.subscribe(subject, options);
    this.#subscriptions.set(name, subscription);
  }

  publish(subject: string, { payload = "", bytes, reply, header, headers: more = {}, times }: PublishStep): void {
    const options = {
      ...(reply === undefined ? {} : { reply }),
      ...(header === undefined && Object.keys(more).length === 0 ? {} : { headers: headersWith(header, more) }),
    };
    const data = bytes === undefined ? Buffer.from(payload) : new Uint8Array(bytes);
    try {
      if (times === undefined) this.connection.publish(subject, data, options);
      else for (let i = 1; i <= times; i += 1) this.connection.publish(subject, Buffer.from(String(i)), options);
    } catch (error) {
      this.#see(`publish fails: ${messageOf(error)}`);
    }
  }

  ask({ subject, payload, headers: more = {}, see }: Question): void {
    const data = Buffer.from(typeof payload === "string" ? payload : JSON.stringify(payload));
    const options = {
      timeout: ASK_LIMIT_MS,
      ...(Object.keys(more).length === 0 ? {} : { headers: headersWith(undefined, more) }),
    };
    void this.connection.request(subject, data, options).then(
      (msg) => this.#see(`${subject} → ${see.length === 0 ? statusOrText(msg) : fieldsOf(msg, see)}`),
      (error) => this.#see(`${subject} fails: ${messageOf(error)}`),
    );
  }

  respond(name: string, payload: string, reply?: string): void {
    this.#last.get(name)?.respond(Buffer.from(payload), reply === undefined ? {} : { reply });
  }

  unsubscribe(name: string): void {
    this.#subscription(name).unsubscribe();
  }

  drain(name: string): void {
    this.#seeEnd(`drain of ${name}`, this.#subscription(name).drain());
  }

  flush(): void {
    this.#seeEnd("flush", this.connection.flush());
  }

  reconnect(): void {
    this.#seeEnd("reconnect()", this.connection.reconnect());
  }

  close(): void {
    void this.connection.close();
  }

  info(): void {
    const told = this.connection.info;
    const urls = (told?.connect_urls ?? []).map((url) => this.#nameOf(url)).sort();
    this.#see(`info: ${told?.max_payload} ${urls.join(",")}`);
  }

  #subscription(name: string): Subscription {
    const subscription = this.#subscriptions.get(name);
    if (subscription === undefined) throw new Error(`the script has no subscription ${name}`);
    return subscription;
  }

  #seeEnd(what: string, end: Promise<unknown>): void {
    void end.then(
      () => this.#see(`${what} ends`),
      (error) => this.#see(`${what} fails: ${messageOf(error)}`),
    );
  }

  async #watch(): Promise<void> {
    for await (const status of this.connection.status()) {
      const line = describeStatus(status, this.#nameOf);
      if (line !== undefined) this.#see(line);
    }
  }

  #see(line: string): void {
    this.lines.push(line);
  }
}

function describe(msg: Msg): string {
  const code = msg.headers?.code ?? 0;
  if (code !== 0) return `${msg.subject} status ${code}`;
  const parts = [msg.subject, textOf(msg)];
  if (msg.reply) parts.push(describeReply(msg.reply));
  const header = msg.headers?.get("Script") ?? "";
  if (header !== "") parts.push(`header ${header}`);
  // Brokers before 2.10 do not say it on what a stream publishes again.
  if (header === "timed")
    parts.push(TIME.test(msg.headers?.get("Nats-Time-Stamp") ?? "") ? "with a time" : "without a time");
  return parts.join(" ");
}

/** RFC 3339. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

/** Of a delivery what does not depend on time. */
function describeReply(reply: string): string {
  if (!reply.startsWith("$JS.ACK.")) return `reply ${reply}`;
  const [, , stream, consumer, delivery, sequence, consumerSequence, , pending] = reply.split(".");
  return `delivery ${delivery} of ${sequence}, ${consumerSequence} of ${consumer} at ${stream}, ${pending} pending`;
}

/** An answer without its subject, which is an inbox. */
function statusOrText(msg: Msg): string {
  const code = msg.headers?.code ?? 0;
  if (code !== 0) return `status ${code}`;
  const names = ["Nats-Stream", "Nats-Subject", "Nats-Sequence"];
  const said = names.map((name) => msg.headers?.get(name) ?? "").filter((value) => value !== "");
  return [msg.string(), ...said].join(" ");
}

/** Some fields of an answer in JSON. */
function fieldsOf(msg: Msg, see: readonly string[]): string {
  const answer = msg.json<unknown>();
  const fieldAt = (path: string): unknown =>
    path.split(".").reduce((value: unknown, key) => (value as Record<string, unknown> | undefined)?.[key], answer);
  return see.map((path) => `${path}=${JSON.stringify(fieldAt(path))}`).join(" ");
}

/** The payload; of a stream's acknowledgement what all versions say. */
function textOf(msg: Msg): string {
  const text = msg.string();
  if (!text.startsWith("{")) return text.length > 100 ? `${text.length} bytes` : text;
  const { stream, seq } = JSON.parse(text) as { stream?: string; seq?: number };
  return `acknowledged by ${stream} as ${seq}`;
}

/** How often a client tries, pings or learns of brokers depends on time: those are not part of a log. */
function describeStatus(status: Status, nameOf: (server: string) => string): string | undefined {
  switch (status.type) {
    case "disconnect":
    case "reconnect":
    case "ldm":
      return `${status.type} ${nameOf(status.server)}`;
    case "forceReconnect":
    case "staleConnection":
    case "close":
      return status.type;
    case "error":
      return `error ${status.error.message}`;
    default:
      return undefined;
  }
}

function headersWith(script: string | undefined, more: Readonly<Record<string, string>>): ReturnType<typeof headers> {
  const result = headers();
  if (script !== undefined) result.set("Script", script);
  for (const [name, value] of Object.entries(more)) result.set(name, value);
  return result;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
