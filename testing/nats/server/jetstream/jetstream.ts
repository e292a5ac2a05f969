/**
 * JetStream of one network: its streams and consumers, all led by one broker at a time.
 *
 * Decided here: where it listens, and what a change of the leader loses: open
 * pulls, nothing that was stored, and when the leader was killed what its consumers
 * did last. When its machine lost its power, the end of each stream. The model leaves out the votes of a
 * cluster, and the age of messages.
 */
import type { World } from "../../../sim/world.js";
import type { Message } from "../../wire/commands.js";
import type { Broker } from "../broker.js";
import type { Subscriber } from "../route.js";
import { SubjectPattern } from "../subject-match.js";
import { API_SUBJECTS, type ApiHost, answer, answerDirect, type StreamEntry, timeOf } from "./api.js";
import { ApiError, jsonMessage, statusMessage, withHeaders } from "./message-text.js";
import { type ConsumerConfig, PullConsumer } from "./pull-consumer.js";
import { type OnStored, type StoredMessage, StoredStream, type StreamConfig } from "./stored-stream.js";

/** How long a stream takes to store a message, in milliseconds. */
const STORE_MS = 0.2;

export class JetStream implements ApiHost {
  readonly #world: World;
  readonly #onStored: OnStored;
  readonly #entries = new Map<string, StreamEntry>();
  #leader: Broker | undefined;
  #subscribers: Subscriber[] = [];

  constructor(world: World, onStored: OnStored) {
    this.#world = world;
    this.#onStored = onStored;
  }

  /** The broker that leads; undefined while there is none. */
  get leader(): string | undefined {
    return this.#leader?.name;
  }

  /** All streams. */
  *streams(): Generator<StoredStream> {
    for (const { stream } of this.#entries.values()) yield stream;
  }

  now(): number {
    return this.#world.now();
  }

  /** A broker that knows the API and does not lead: it answers nothing. */
  listenAt(broker: Broker): void {
    for (const subject of API_SUBJECTS) broker.add({ subject, queue: undefined, deliver: () => true });
  }

  /** A broker leads from now on. */
  lead(broker: Broker): void {
    this.#leader = broker;
    this.#world.trace(`broker ${broker.name} leads JetStream`);
    for (const subject of API_SUBJECTS) this.#listen(subject, (request) => this.#answer(request));
    for (const entry of this.#entries.values()) {
      this.#listenFor(entry);
      for (const consumer of entry.consumers.values()) this.#listenForConsumer(entry, consumer);
    }
  }

  /**
   * The leader steps down; nobody leads.
   *
   * @param isGone it has forgotten all who listen
   * @param keepsConsumers its disk has what its consumers did last
   */
  stepDown(isGone: boolean, keepsConsumers = false): void {
    const leader = this.#leader;
    if (leader !== undefined && !isGone) for (const each of this.#subscribers) leader.remove(each);
    this.#subscribers = [];
    this.#leader = undefined;
    for (const { consumers } of this.#entries.values()) {
      for (const each of consumers.values()) {
        each.forgetPulls();
        if (isGone && !keepsConsumers) each.forgetLast();
      }
    }
  }

  /**
   * A machine lost its power: what was stored since is lost.
   *
   * @param sinceMs time of the world
   * @param keepsConsumers its disk has the consumers as they were last, and nats-server 2.9 leaves them so
   */
  rollBack(sinceMs: number, keepsConsumers: boolean): void {
    for (const { stream, consumers } of this.#entries.values()) {
      stream.rollBack(sinceMs);
      if (!keepsConsumers) for (const each of consumers.values()) each.rollBack();
    }
  }

  find(stream: string): StreamEntry | undefined {
    return this.#entries.get(stream);
  }

  addStream(config: StreamConfig): StreamEntry {
    const entry: StreamEntry = { stream: new StoredStream(config), consumers: new Map() };
    this.#entries.set(config.name, entry);
    this.#listenFor(entry);
    return entry;
  }

  removeStream(name: string): void {
    for (const consumer of this.#entries.get(name)?.consumers.values() ?? []) consumer.end();
    this.#entries.delete(name);
    this.#listenAnew();
  }

  addConsumer(entry: StreamEntry, config: ConsumerConfig): PullConsumer {
    const world = this.#world;
    const at = (atMs: number, work: () => void) => world.at(atMs, () => this.#leader?.whenRunning(work));
    const clock = { now: () => world.now(), at, cancel: world.cancel.bind(world) };
    const send = (message: Message): boolean => this.#leader?.route(message) ?? false;
    const consumer = new PullConsumer({ world: clock, stream: entry.stream, config, send });
    entry.consumers.set(config.durable_name, consumer);
    this.#listenForConsumer(entry, consumer);
    return consumer;
  }

  removeConsumer({ consumers }: StreamEntry, consumer: PullConsumer): void {
    consumer.end();
    consumers.delete(consumer.config.durable_name);
    this.#listenAnew();
  }

  /** To all that is there now. Open pulls go on. */
  #listenAnew(): void {
    const leader = this.#leader;
    if (leader === undefined) return;
    for (const each of this.#subscribers) leader.remove(each);
    this.#subscribers = [];
    this.lead(leader);
  }

  #listenFor(entry: StreamEntry): void {
    const { name, subjects } = entry.stream.config;
    for (const subject of subjects) this.#listen(subject, (message) => this.#store(entry, message));
    const direct = `$JS.API.DIRECT.GET.${name}`;
    for (const subject of [direct, `${direct}.>`]) {
      this.#listen(subject, (request) => this.#answerDirect(entry, request, request.subject.slice(direct.length + 1)));
    }
  }

  #listenForConsumer({ stream }: StreamEntry, consumer: PullConsumer): void {
    const name = `${stream.config.name}.${consumer.config.durable_name}`;
    this.#listen(`$JS.API.CONSUMER.MSG.NEXT.${name}`, (request) => consumer.pull(request));
    this.#listen(`$JS.ACK.${name}.>`, (said) => consumer.hear(said));
    consumer.pump();
  }

  #listen(subject: string, hear: (message: Message) => void): void {
    const subscriber: Subscriber = {
      subject,
      queue: undefined,
      deliver: (message) => {
        hear(message);
        return true;
      },
    };
    this.#subscribers.push(subscriber);
    this.#leader?.add(subscriber);
  }

  #answer(request: Message): void {
    const content = answer(this, request);
    if (request.reply !== "") this.#leader?.route(jsonMessage(request.reply, content));
  }

  #answerDirect(entry: StreamEntry, request: Message, subject: string): void {
    const found = answerDirect(entry, request, subject);
    this.#leader?.route(found ?? statusMessage(request.reply, 404, "Message Not Found"));
  }

  #store(entry: StreamEntry, message: Message): void {
    const end = entry.stream.store(message, this.#world.now());
    if (message.reply !== "") this.#acknowledge(message.reply, entry.stream.config.name, end);
    if (end instanceof ApiError || end.duplicate) return;
    const stored = entry.stream.get(end.sequence);
    if (stored !== undefined) {
      this.#onStored(entry.stream.config.name, stored);
      this.#republish(entry.stream, stored);
    }
    for (const consumer of entry.consumers.values()) consumer.pump();
  }

  #acknowledge(reply: string, stream: string, end: ReturnType<StoredStream["store"]>): void {
    const leader = this.#leader;
    const content =
      end instanceof ApiError
        ? { error: { ...end }, stream, seq: 0 }
        : { stream, seq: end.sequence, ...(end.duplicate ? { duplicate: true } : {}) };
    this.#world.at(this.#world.now() + STORE_MS, () =>
      leader?.whenRunning(() => this.#leader === leader && leader.route(jsonMessage(reply, content))),
    );
  }

  #republish({ config }: StoredStream, stored: StoredMessage): void {
    const { republish } = config;
    if (republish === undefined || !new SubjectPattern(republish.src).matches(stored.subject)) return;
    const wildcards = republish.src.split(".").flatMap((token, i) => (token === "*" ? [i] : []));
    const tokens = stored.subject.split(".");
    const subject = republish.dest.replace(
      /\{\{wildcard\((\d+)\)\}\}/g,
      (_, place) => tokens[wildcards[place - 1] ?? -1] ?? "",
    );
    const headers = {
      "Nats-Stream": config.name,
      "Nats-Subject": stored.subject,
      "Nats-Sequence": String(stored.sequence),
      "Nats-Time-Stamp": timeOf(stored),
      "Nats-Last-Sequence": "0",
    };
    this.#leader?.route(withHeaders(stored, subject, headers));
  }
}
