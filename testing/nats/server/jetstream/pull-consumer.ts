/**
 * A durable consumer of pulls: which messages are delivered to whom, and again when.
 *
 * Decided here: open pulls take turns; a message is delivered again when nothing
 * was said of it in the ack wait, or when it was given back; an acknowledgement
 * counts whoever sends it, as at nats-server. A pull with a limit of bytes is told when it
 * has brought all that it asked for, as nats-server 2.15 does; 2.9 says nothing then.
 */
import type { Scheduled, World } from "../../../sim/world.js";
import type { Message } from "../../wire/commands.js";
import { SubjectPattern } from "../subject-match.js";
import { payloadText, statusMessage } from "./message-text.js";
import type { StoredMessage, StoredStream } from "./stored-stream.js";

/** The settings that the model heeds; all others are kept as they were given. */
export interface ConsumerConfig {
  readonly durable_name: string;
  readonly filter_subject?: string;
  readonly filter_subjects?: readonly string[];
  /** Nanoseconds. */
  readonly ack_wait: number;
  readonly max_ack_pending?: number;
  readonly max_waiting?: number;
}

/** What it works with. */
export interface PullConsumerParts {
  readonly world: Pick<World, "now" | "at" | "cancel">;
  readonly stream: StoredStream;
  readonly config: ConsumerConfig;
  /** Sends a message; says whether anybody was there. */
  readonly send: (message: Message) => boolean;
}

/** An open pull. */
interface Pull {
  readonly reply: string;
  left: number;
  /** Infinite without a limit. */
  bytesLeft: number;
  readonly endsAtMs: number;
  readonly beatMs: number;
  saidAtMs: number;
}

/** A message that was delivered and not acknowledged. */
interface Unsettled {
  readonly consumerSequence: number;
  dueAtMs: number;
}

/** A first delivery, and the message once it was acknowledged. */
interface Recent {
  readonly atMs: number;
  readonly sequence: number;
  message: StoredMessage | undefined;
}

/** A broker that is killed has forgotten what its consumers did last, milliseconds. */
const FORGOTTEN_MS = 100;
const NANOS = 1e6;
const DEFAULT_WAITING = 512;
const DEFAULT_UNSETTLED = 1_000;

export class PullConsumer {
  readonly config: ConsumerConfig;
  /** When it was made. */
  readonly #created: string;
  readonly #parts: PullConsumerParts;
  readonly #patterns: readonly SubjectPattern[];
  readonly #unsettled = new Map<number, Unsettled>();
  readonly #deliveries = new Map<number, number>();
  #again: number[] = [];
  /** Oldest first. */
  #recent: Recent[] = [];
  #pulls: Pull[] = [];
  #nextSequence = 1;
  #consumerSequence = 0;
  #timer: Scheduled | undefined;

  constructor(parts: PullConsumerParts) {
    const { filter_subject: one, filter_subjects: several = one === undefined ? [">"] : [one] } = parts.config;
    this.config = parts.config;
    this.#parts = parts;
    this.#created = new Date(parts.world.now()).toISOString();
    this.#patterns = several.map((subject) => new SubjectPattern(subject));
  }

  get #nowMs(): number {
    return this.#parts.world.now();
  }

  /** What the API tells of it. */
  info(): object {
    const { stream, config } = this.#parts;
    const oldest = Math.min(...this.#unsettled.keys(), ...this.#again, this.#nextSequence);
    return {
      stream_name: stream.config.name,
      name: config.durable_name,
      created: this.#created,
      config,
      delivered: { consumer_seq: this.#consumerSequence, stream_seq: this.#nextSequence - 1 },
      ack_floor: { consumer_seq: 0, stream_seq: oldest - 1 },
      num_ack_pending: this.#unsettled.size + this.#again.length,
      num_redelivered: [...this.#deliveries.values()].filter((count) => count > 1).length,
      num_waiting: this.#pulls.length,
      num_pending: this.#pendingCount(),
    };
  }

  /** A pull: {"batch": n, "max_bytes": n, "expires": ns, "idle_heartbeat": ns}. */
  pull(request: Message): void {
    if (request.reply === "") return;
    const text = payloadText(request);
    const said = (text.startsWith("{") ? JSON.parse(text) : { batch: Number(text || 1) }) as Record<string, number>;
    const { batch = 1, max_bytes: bytes = 0, expires = 0, idle_heartbeat: beat = 0 } = said;
    if (this.#pulls.length >= (this.config.max_waiting ?? DEFAULT_WAITING)) {
      this.#parts.send(statusMessage(request.reply, 409, "Exceeded MaxWaiting"));
      return;
    }
    this.#pulls.push({
      reply: request.reply,
      left: batch,
      bytesLeft: bytes > 0 ? bytes : Number.POSITIVE_INFINITY,
      endsAtMs: expires > 0 ? this.#nowMs + expires / NANOS : Number.POSITIVE_INFINITY,
      beatMs: beat > 0 ? beat / NANOS : Number.POSITIVE_INFINITY,
      saidAtMs: this.#nowMs,
    });
    this.pump();
  }

  /** What is said at $JS.ACK.STREAM.CONSUMER.DELIVERIES.SEQUENCE.CONSUMER-SEQUENCE.TIME.PENDING. */
  hear(said: Message): void {
    const [, , , , , sequenceText, consumerText] = said.subject.split(".");
    const sequence = Number(sequenceText);
    const text = payloadText(said);
    if (text === "" || text.startsWith("+ACK")) this.#settle(sequence);
    else if (text.startsWith("+WPI")) this.#wait(sequence, this.config.ack_wait / NANOS);
    else if (text.startsWith("-NAK") && Number(consumerText) <= this.#consumerSequence) this.#giveBack(sequence, text);
    else if (text.startsWith("+TERM")) this.#unsettled.delete(sequence);
    if (said.reply !== "") this.#parts.send({ subject: said.reply, reply: "", bytes: Buffer.of(), headerBytes: 0 });
    this.pump();
  }

  /** It is served elsewhere from now on, or nowhere: open pulls are forgotten. */
  forgetPulls(): void {
    this.#pulls = [];
    this.#parts.world.cancel(this.#timer);
  }

  /** It is deleted: whoever waits hears it. */
  end(): void {
    for (const { reply } of this.#pulls) this.#parts.send(statusMessage(reply, 409, "Consumer Deleted"));
    this.forgetPulls();
  }

  /** Its broker was killed: it has not noted the last first deliveries, nor what was acknowledged of them. */
  forgetLast(): void {
    const { stream } = this.#parts;
    this.#dropOld();
    for (const { sequence, message } of this.#recent) {
      this.#unsettled.delete(sequence);
      this.#deliveries.delete(sequence);
      if (message !== undefined) stream.restore(message);
      this.#nextSequence = Math.min(this.#nextSequence, sequence);
    }
    const forgotten = new Set(this.#recent.map(({ sequence }) => sequence));
    this.#again = this.#again.filter((sequence) => !forgotten.has(sequence));
    this.#recent = [];
  }

  /** Its stream has lost its end: so has it. */
  rollBack(): void {
    const { lastSequence } = this.#parts.stream;
    const isLost = (sequence: number): boolean => sequence > lastSequence;
    for (const of of [this.#unsettled, this.#deliveries]) {
      for (const sequence of [...of.keys()].filter(isLost)) of.delete(sequence);
    }
    this.#again = this.#again.filter((sequence) => !isLost(sequence));
    this.#recent = this.#recent.filter(({ sequence }) => !isLost(sequence));
    this.#nextSequence = Math.min(this.#nextSequence, lastSequence + 1);
  }

  #dropOld(): void {
    const fromMs = this.#nowMs - FORGOTTEN_MS;
    while (this.#recent[0] !== undefined && this.#recent[0].atMs < fromMs) this.#recent.shift();
  }

  /** Delivers what it can, and plans when to look again. */
  pump(): void {
    const nowMs = this.#nowMs;
    for (const [sequence, { dueAtMs }] of this.#unsettled) if (dueAtMs <= nowMs) this.#deliverAgain(sequence);
    while (this.#pulls.length > 0 && this.#unsettled.size < (this.config.max_ack_pending ?? DEFAULT_UNSETTLED)) {
      const next = this.#take();
      if (next === undefined) break;
      if (!this.#deliver(next)) this.#again.unshift(next.sequence);
    }
    for (const pull of [...this.#pulls]) this.#endOrBeat(pull);
    this.#plan();
  }

  #settle(sequence: number): void {
    const { stream } = this.#parts;
    this.#unsettled.delete(sequence);
    this.#deliveries.delete(sequence);
    this.#again = this.#again.filter((each) => each !== sequence);
    const recent = this.#recent.find((each) => each.sequence === sequence);
    if (recent !== undefined) recent.message = stream.get(sequence);
    if (stream.config.retention === "workqueue") stream.delete(sequence);
  }

  #wait(sequence: number, ms: number): void {
    const unsettled = this.#unsettled.get(sequence);
    if (unsettled !== undefined) unsettled.dueAtMs = this.#nowMs + ms;
  }

  #giveBack(sequence: number, text: string): void {
    const { delay = 0 } = JSON.parse(text.slice("-NAK".length).trim() || "{}") as { delay?: number };
    if (!this.#unsettled.has(sequence)) return;
    if (delay > 0) this.#wait(sequence, delay / NANOS);
    else this.#deliverAgain(sequence);
  }

  #deliverAgain(sequence: number): void {
    this.#unsettled.delete(sequence);
    this.#again.push(sequence);
  }

  /** The next message to deliver: one that was delivered before, or the next of the stream. */
  #take(): StoredMessage | undefined {
    const { stream } = this.#parts;
    for (let sequence = this.#again.shift(); sequence !== undefined; sequence = this.#again.shift()) {
      const message = stream.get(sequence);
      if (message !== undefined) return message;
    }
    while (this.#nextSequence <= stream.lastSequence) {
      const message = stream.get(this.#nextSequence);
      this.#nextSequence += 1;
      if (message !== undefined && this.#takes(message)) return message;
    }
    return undefined;
  }

  #deliver({ sequence, subject, bytes, headerBytes, storedAt }: StoredMessage): boolean {
    const { stream, config, send } = this.#parts;
    const pull = this.#pulls.shift();
    if (pull === undefined) return false;
    const count = (this.#deliveries.get(sequence) ?? 0) + 1;
    const consumerSequence = this.#consumerSequence + 1;
    const reply = `$JS.ACK.${stream.config.name}.${config.durable_name}.${count}.${sequence}.${consumerSequence}.${storedAt}.${this.#pendingCount()}`;
    const size = subject.length + reply.length + bytes.length;
    if (size > pull.bytesLeft) {
      send(statusMessage(pull.reply, 409, "Message Size Exceeds MaxBytes"));
      return false;
    }
    if (!send({ to: pull.reply, subject, reply, bytes, headerBytes })) return false;
    this.#consumerSequence = consumerSequence;
    this.#deliveries.set(sequence, count);
    this.#dropOld();
    if (count === 1) this.#recent.push({ atMs: this.#nowMs, sequence, message: undefined });
    this.#unsettled.set(sequence, { consumerSequence, dueAtMs: this.#nowMs + config.ack_wait / NANOS });
    pull.left -= 1;
    pull.bytesLeft -= size;
    pull.saidAtMs = this.#nowMs;
    if (pull.bytesLeft === 0) pull.left = 0;
    if (pull.left > 0) this.#pulls.push(pull);
    else if (pull.bytesLeft < Number.POSITIVE_INFINITY) send(statusMessage(pull.reply, 409, "Batch Completed"));
    return true;
  }

  #endOrBeat(pull: Pull): void {
    const nowMs = this.#nowMs;
    const { send } = this.#parts;
    if (pull.endsAtMs <= nowMs) {
      this.#pulls = this.#pulls.filter((each) => each !== pull);
      send(statusMessage(pull.reply, 408, "Request Timeout"));
    } else if (pull.saidAtMs + pull.beatMs <= nowMs) {
      pull.saidAtMs = nowMs;
      send(statusMessage(pull.reply, 100, "Idle Heartbeat"));
    }
  }

  #plan(): void {
    const { world } = this.#parts;
    world.cancel(this.#timer);
    const times = [
      ...[...this.#unsettled.values()].map(({ dueAtMs }) => dueAtMs),
      ...this.#pulls.flatMap((pull) => [pull.endsAtMs, pull.saidAtMs + pull.beatMs]),
    ];
    const atMs = Math.min(...times);
    this.#timer = atMs === Number.POSITIVE_INFINITY ? undefined : world.at(atMs, () => this.pump());
  }

  #takes({ subject }: StoredMessage): boolean {
    return this.#patterns.some((pattern) => pattern.matches(subject));
  }

  #pendingCount(): number {
    let count = 0;
    for (const message of this.#parts.stream.all()) {
      if (message.sequence >= this.#nextSequence && this.#takes(message)) count += 1;
    }
    return count;
  }
}
