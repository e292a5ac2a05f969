/**
 * The part of JetStream's API that the mesh uses: streams, consumers and single messages.
 *
 * Each question has the name of its subject after "$JS.API.". Pausing consumers,
 * purging, updating and schedules are not modelled: such a question is refused.
 */
import type { Message } from "../../wire/commands.js";
import { ApiError, payloadText, withHeaders } from "./message-text.js";
import type { ConsumerConfig, PullConsumer } from "./pull-consumer.js";
import type { StoredMessage, StoredStream, StreamConfig } from "./stored-stream.js";

/** A stream, and those who pull from it. */
export interface StreamEntry {
  readonly stream: StoredStream;
  readonly consumers: Map<string, PullConsumer>;
}

/** What the API asks of JetStream. */
export interface ApiHost {
  find(stream: string): StreamEntry | undefined;
  addStream(config: StreamConfig): StreamEntry;
  removeStream(name: string): void;
  addConsumer(entry: StreamEntry, config: ConsumerConfig): PullConsumer;
  removeConsumer(entry: StreamEntry, consumer: PullConsumer): void;
  now(): number;
}

/** Which message is meant. */
interface Query {
  readonly seq?: number;
  readonly last_by_subj?: string;
  readonly next_by_subj?: string;
}

type Handler = (host: ApiHost, names: readonly string[], asked: Record<string, never>) => object;

const STREAM_NOT_FOUND = new ApiError(404, 10_059, "stream not found");
const CONSUMER_NOT_FOUND = new ApiError(404, 10_014, "consumer not found");
const NO_MESSAGE = new ApiError(404, 10_037, "no message found");
const NOT_DELETED = new ApiError(500, 10_057, "no message found");
const OTHER_CONFIG = new ApiError(400, 10_058, "stream name already in use with a different configuration");
const NOT_MODELLED = new ApiError(400, 10_025, "the model does not know this question");

/** The questions that are answered at their subjects. */
const HANDLERS: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ["STREAM.CREATE", (host, [name = ""], asked) => createStream(host, name, asked as unknown as StreamConfig)],
  ["STREAM.INFO", (host, names, asked) => streamInfo(host, entryOf(host, names), asked)],
  [
    "STREAM.DELETE",
    (host, names) => {
      host.removeStream(entryOf(host, names).stream.config.name);
      return { success: true };
    },
  ],
  ["STREAM.MSG.GET", (host, names, asked) => ({ message: messageJson(messageOf(entryOf(host, names), asked)) })],
  ["STREAM.MSG.DELETE", (host, names, asked) => deleteMessage(entryOf(host, names), asked)],
  ["CONSUMER.CREATE", (host, names, asked) => createConsumer(host, names, asked)],
  ["CONSUMER.DURABLE.CREATE", (host, names, asked) => createConsumer(host, names, asked)],
  [
    "CONSUMER.DELETE",
    (host, names) => {
      const entry = entryOf(host, names);
      host.removeConsumer(entry, consumerOf(entry, names[1]));
      return { success: true };
    },
  ],
  ["CONSUMER.INFO", (host, names) => consumerOf(entryOf(host, names), names[1]).info()],
]);

/** The subjects at which the API listens. */
export const API_SUBJECTS: readonly string[] = [...HANDLERS.keys()].map((question) => `$JS.API.${question}.>`);

/** Answers a question. */
export function answer(host: ApiHost, request: Message): object {
  const asked = request.subject.slice("$JS.API.".length);
  for (const [question, handle] of HANDLERS) {
    if (!asked.startsWith(`${question}.`)) continue;
    try {
      return handle(host, asked.slice(question.length + 1).split("."), JSON.parse(payloadText(request) || "{}"));
    } catch (thrown) {
      if (!(thrown instanceof ApiError)) throw thrown;
      return { error: { ...thrown } };
    }
  }
  return { error: { ...NOT_MODELLED } };
}

/** Answers a question for one message, asked of any replica. @param subject what follows the stream's name */
export function answerDirect(entry: StreamEntry, request: Message, subject: string): Message | undefined {
  const query: Query = subject === "" ? JSON.parse(payloadText(request)) : { last_by_subj: subject };
  const found = findMessage(entry, query);
  if (found === undefined) return undefined;
  return withHeaders(found, request.reply, {
    "Nats-Stream": entry.stream.config.name,
    "Nats-Subject": found.subject,
    "Nats-Sequence": String(found.sequence),
    "Nats-Time-Stamp": timeOf(found),
  });
}

function createStream(host: ApiHost, name: string, config: StreamConfig): object {
  const known = host.find(name);
  if (known !== undefined && JSON.stringify(known.stream.config) !== JSON.stringify(config)) throw OTHER_CONFIG;
  return streamInfo(host, known ?? host.addStream(config), {});
}

function streamInfo(host: ApiHost, { stream, consumers }: StreamEntry, asked: { subjects_filter?: string }): object {
  const { subjects_filter: filter } = asked;
  const sequences = [...stream.all()].map(({ sequence }) => sequence);
  return {
    config: stream.config,
    created: new Date(host.now()).toISOString(),
    state: {
      messages: stream.size,
      bytes: [...stream.all()].reduce((sum, { bytes }) => sum + bytes.length, 0),
      first_seq: sequences[0] ?? stream.lastSequence + 1,
      last_seq: stream.lastSequence,
      consumer_count: consumers.size,
      ...(filter === undefined ? {} : { subjects: stream.counts(filter) }),
    },
  };
}

function deleteMessage({ stream }: StreamEntry, { seq = 0 }: Query): object {
  if (!stream.delete(seq)) throw NOT_DELETED;
  return { success: true };
}

function createConsumer(host: ApiHost, names: readonly string[], asked: { config?: ConsumerConfig }): object {
  const entry = entryOf(host, names);
  const { config } = asked;
  if (config?.durable_name === undefined) throw NOT_MODELLED;
  return (entry.consumers.get(config.durable_name) ?? host.addConsumer(entry, config)).info();
}

function entryOf(host: ApiHost, [name = ""]: readonly string[]): StreamEntry {
  const entry = host.find(name);
  if (entry === undefined) throw STREAM_NOT_FOUND;
  return entry;
}

function consumerOf({ consumers }: StreamEntry, name = ""): PullConsumer {
  const consumer = consumers.get(name);
  if (consumer === undefined) throw CONSUMER_NOT_FOUND;
  return consumer;
}

function messageOf(entry: StreamEntry, query: Query): StoredMessage {
  const found = findMessage(entry, query);
  if (found === undefined) throw NO_MESSAGE;
  return found;
}

function findMessage({ stream }: StreamEntry, query: Query): StoredMessage | undefined {
  const { seq = 1, last_by_subj: last, next_by_subj: next } = query;
  if (last !== undefined) return stream.last(last);
  return next === undefined ? stream.get(seq) : stream.next(next, seq);
}

function messageJson({ subject, sequence, bytes, headerBytes, ...stored }: StoredMessage): object {
  const hdrs = headerBytes === 0 ? {} : { hdrs: base64(bytes.subarray(0, headerBytes)) };
  const time = timeOf({ storedAt: stored.storedAt });
  return { subject, seq: sequence, ...hdrs, data: base64(bytes.subarray(headerBytes)), time };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

const NANOS = 1e6;

export function timeOf({ storedAt }: Pick<StoredMessage, "storedAt">): string {
  return new Date(Number(storedAt) / NANOS).toISOString();
}
