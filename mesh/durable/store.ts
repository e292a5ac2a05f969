/**
 * Reads and manages the lane's streams, through the library of NATS; single messages by a question of its own.
 *
 * Decided here: what decides something is read from the stream's leader, what is
 * only shown may come from any replica. Not decided here: what is read means.
 */
import type { ConsumerInfo, DirectMsgRequest, JetStreamManager, StreamInfo } from "@nats-io/jetstream";
import type { NatsConnection } from "nats";
import { PoolError } from "../errors.js";
import type { Bus } from "../link/bus.js";
import type { HeaderReader } from "../wire/wire-headers.js";
import { type MessageQuery, MessageReader, type Stored } from "./message-get.js";
import type { ConsumerSettings, StreamSettings } from "./streams.js";

export type { Stored };

/** How long the broker may take to answer, in milliseconds. */
const TIMEOUT_MS = 5_000;
const DIRECT_TIMEOUT_MS = 1_000;
const STREAM_NOT_FOUND = 10_059;
const NOT_FOUND: ReadonlySet<number> = new Set([10_014, 10_037, STREAM_NOT_FOUND]);
const NOT_FOUND_STATUS = 404;
const NO_STREAM = "no stream";
const NO_MESSAGE = "no message";
/** A message that cannot be deleted: the text says why. */
const DELETE_FAILED = 10_057;

export class LaneStore {
  readonly #bus: Bus;
  readonly #reader: MessageReader;
  #manager: Promise<JetStreamManager> | undefined;
  #direct: Promise<JetStreamManager> | undefined;

  constructor(bus: Bus) {
    this.#bus = bus;
    this.#reader = new MessageReader(bus);
  }

  /** The last message of a subject as the stream's leader has it; undefined when there is none. @throws PoolError */
  last(stream: string, subject: string): Promise<Stored | undefined> {
    return this.#read(stream, { last_by_subj: subject });
  }

  /** The message with this sequence as the stream's leader has it; undefined when it is gone. @throws PoolError */
  at(stream: string, sequence: number): Promise<Stored | undefined> {
    return this.#read(stream, { seq: sequence });
  }

  /** The last message of a subject from any replica: it may be a moment old. @throws PoolError */
  lastShown(stream: string, subject: string): Promise<Stored | undefined> {
    return this.#show(stream, { last_by_subj: subject });
  }

  /**
   * Whether a stream is there. One whose leader is being elected does not answer: that is an error.
   *
   * @param subject any that it takes
   * @throws PoolError
   */
  async hasStream(stream: string, subject: string): Promise<boolean> {
    return (await this.#get(stream, { last_by_subj: subject })) !== NO_STREAM;
  }

  /**
   * The first message of a subject (wildcards allowed) from this sequence on, from any replica; undefined at the end,
   * and for a stream that is not there.
   *
   * @throws PoolError
   */
  next(stream: string, subject: string, fromSequence: number): Promise<Stored | undefined> {
    return this.#show(stream, { seq: fromSequence, next_by_subj: subject });
  }

  /** The same from the stream's leader. @throws PoolError */
  nextDecisive(stream: string, subject: string, fromSequence: number): Promise<Stored | undefined> {
    return this.#read(stream, { seq: fromSequence, next_by_subj: subject });
  }

  /** Deletes one message; false when it is not there. @throws PoolError */
  async delete(stream: string, sequence: number): Promise<boolean> {
    return (await this.#ask(({ streams }) => streams.deleteMessage(stream, sequence, false))) ?? false;
  }

  /** Deletes all messages of a subject. @throws PoolError */
  async purge(stream: string, subject: string): Promise<void> {
    await this.#ask(({ streams }) => streams.purge(stream, { filter: subject }));
  }

  /** @returns undefined when it is not there. @throws PoolError */
  streamInfo(stream: string): Promise<StreamInfo | undefined> {
    return this.#ask(({ streams }) => streams.info(stream));
  }

  /** The names of all streams of the account. @throws PoolError */
  async streamNames(): Promise<string[]> {
    const names = await this.#ask(async ({ streams }) => {
      const all: string[] = [];
      for await (const name of streams.names()) all.push(name);
      return all;
    });
    return names ?? [];
  }

  /** Messages of a subject, wildcards allowed. @throws PoolError */
  async count(stream: string, subject: string): Promise<number> {
    const info = await this.#ask(({ streams }) => streams.info(stream, { subjects_filter: subject }));
    return Object.values(info?.state.subjects ?? {}).reduce((sum, count) => sum + count, 0);
  }

  /** @returns undefined when it is not there. @throws PoolError */
  consumerInfo(stream: string, consumer: string): Promise<ConsumerInfo | undefined> {
    return this.#ask(({ consumers }) => consumers.info(stream, consumer));
  }

  /**
   * Lets a consumer bring nothing until a time; a time that has passed resumes it.
   *
   * @returns whether it is paused now; undefined when it is not there. @throws PoolError
   */
  async pauseConsumer(stream: string, consumer: string, until: Date): Promise<boolean | undefined> {
    return (await this.#ask(({ consumers }) => consumers.pause(stream, consumer, until)))?.paused;
  }

  /** @throws PoolError */
  async addStream(settings: StreamSettings): Promise<StreamInfo> {
    const added = await this.#ask(({ streams }) => streams.add({ ...settings }));
    if (added === undefined) throw new PoolError("bus_unavailable", `stream ${settings.name} could not be created`);
    return added;
  }

  /** @throws PoolError */
  async addConsumer(stream: string, settings: ConsumerSettings): Promise<ConsumerInfo> {
    const added = await this.#ask(({ consumers }) => consumers.add(stream, settings));
    if (added === undefined) throw new PoolError("bus_unavailable", `stream ${stream} is not there`);
    return added;
  }

  /** False when it is not there. @throws PoolError with the broker's words */
  async deleteConsumer(stream: string, name: string): Promise<boolean> {
    return (await this.#ask(({ consumers }) => consumers.delete(stream, name))) ?? false;
  }

  /** Sets some settings of a stream anew, and leaves the others. @throws PoolError with the broker's words */
  async updateStream(name: string, changes: Partial<StreamSettings>): Promise<void> {
    await this.#ask(({ streams }) => streams.update(name, changes));
  }

  /** Sets some settings of a consumer anew, and leaves the others. @throws PoolError with the broker's words */
  async updateConsumer(stream: string, name: string, changes: Partial<ConsumerSettings>): Promise<void> {
    await this.#ask(({ consumers }) => consumers.update(stream, name, changes));
  }

  #decisive(): Promise<JetStreamManager> {
    this.#manager ??= this.#open(TIMEOUT_MS);
    return this.#manager;
  }

  #shown(): Promise<JetStreamManager> {
    this.#direct ??= this.#open(DIRECT_TIMEOUT_MS);
    return this.#direct;
  }

  /** The library is loaded when it is needed first: most clients never do. */
  async #open(timeout: number): Promise<JetStreamManager> {
    const { jetstreamManager } = await import("@nats-io/jetstream");
    return jetstreamManager(this.#bus.nc as NatsConnection, { checkAPI: false, timeout });
  }

  /** A message from any replica. */
  async #show(stream: string, query: DirectMsgRequest): Promise<Stored | undefined> {
    try {
      return await this.#ask(async ({ direct }) => toStored(await direct.getMessage(stream, query)), this.#shown());
    } catch {
      // Nobody answers for a stream that is not there. The broker's management says which it is; it takes the same
      // questions, also those that the library's types leave out.
      return this.#read(stream, query as MessageQuery);
    }
  }

  /** A message from the stream's leader. */
  async #read(stream: string, query: MessageQuery): Promise<Stored | undefined> {
    const found = await this.#get(stream, query);
    return typeof found === "string" ? undefined : found;
  }

  /** The same, which also tells what is not there. */
  async #get(stream: string, query: MessageQuery): Promise<Stored | typeof NO_STREAM | typeof NO_MESSAGE> {
    this.#bus.requireConnected();
    try {
      return await this.#reader.read(stream, query, TIMEOUT_MS);
    } catch (thrown) {
      if (!isNotFound(thrown)) throw storeError(thrown);
      return Number((thrown as { code?: unknown }).code) === STREAM_NOT_FOUND ? NO_STREAM : NO_MESSAGE;
    }
  }

  /** Asks the broker, and turns "not found" into undefined and every other failure into a PoolError. */
  async #ask<T>(
    question: (manager: JetStreamManager) => Promise<T>,
    manager = this.#decisive(),
  ): Promise<T | undefined> {
    this.#bus.requireConnected();
    try {
      return await question(await manager);
    } catch (thrown) {
      if (isNotFound(thrown)) return undefined;
      throw storeError(thrown);
    }
  }
}

/** The library's errors have JetStream's own code, and a status or a code that is like one of HTTP. */
function isNotFound(thrown: unknown): boolean {
  const { code, status, message } = (thrown ?? {}) as { code?: unknown; status?: unknown; message?: unknown };
  if (Number(code) === DELETE_FAILED) return /no message found/.test(String(message));
  return NOT_FOUND.has(Number(code)) || code === NOT_FOUND_STATUS || status === NOT_FOUND_STATUS;
}

const OFF = "JetStream is off at this broker, or not for this account";

/** Whether a failure says that there is no JetStream, which does not pass by itself. */
export function isOff(thrown: unknown): boolean {
  return thrown instanceof PoolError && thrown.message.includes(OFF);
}

/** Whether the store did not answer, or has no leader: it may be a moment or an hour. */
export function isWithoutAnswer(thrown: unknown): boolean {
  return thrown instanceof PoolError && /timeout|temporarily unavailable|no leader/i.test(thrown.message);
}

function storeError(thrown: unknown): PoolError {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  const message = /jetstream.*not enabled|no responders/i.test(text) ? OFF : `the broker's store: ${text}`;
  return new PoolError("bus_unavailable", message, { retryAfterMs: 1_000, cause: thrown });
}

function toStored(msg: StoredLike | null): Stored | undefined {
  if (msg === null) return undefined;
  const { seq, subject, header, data, time } = msg;
  return { sequence: seq, subject, headers: header, payload: data, storedAtMs: time.getTime() };
}

interface StoredLike {
  readonly seq: number;
  readonly subject: string;
  readonly header: HeaderReader;
  readonly data: Uint8Array;
  readonly time: Date;
}
