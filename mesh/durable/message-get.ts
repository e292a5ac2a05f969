/**
 * Reads one message of a stream from its leader.
 *
 * Asked through an inbox of our own, since each stored job that may have come before is looked up: the library makes a
 * timer, two error objects and a promise with a stack for each question.
 */
import { parseJson } from "../job/codec.js";
import type { Bus } from "../link/bus.js";
import { Inbox } from "../link/inbox.js";
import { type HeaderReader, readHeaders } from "../wire/wire-headers.js";

/** A message of a stream. */
export interface Stored {
  readonly sequence: number;
  readonly subject: string;
  readonly headers: HeaderReader | undefined;
  readonly payload: Uint8Array;
  /** When the broker stored it, milliseconds since the epoch. */
  readonly storedAtMs: number;
}

/** Which message: the last of a subject, one by its sequence, or the first of a subject from a sequence on. */
export type MessageQuery =
  | { readonly last_by_subj: string }
  | { readonly seq: number }
  | { readonly seq: number; readonly next_by_subj: string };

/** What the broker says instead of a message. `code` is JetStream's own, `status` one like HTTP's. */
export class NotRead extends Error {
  readonly code: number;
  readonly status: number;

  constructor(message: string, code = 0, status = 0) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/** The broker's answer, as far as it is read here. */
interface Answer {
  readonly message?: {
    readonly subject?: string;
    readonly seq?: number;
    readonly hdrs?: string;
    readonly data?: string;
    readonly time?: string;
  };
  readonly error?: { readonly code?: number; readonly err_code?: number; readonly description?: string };
}

export class MessageReader {
  readonly #bus: Bus;
  #inbox: Inbox | undefined;

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  /**
   * @param limitMs how long the broker may take, in milliseconds
   * @throws NotRead also when there is no such message
   */
  async read(stream: string, query: MessageQuery, limitMs: number): Promise<Stored> {
    this.#inbox ??= new Inbox(this.#bus);
    const subject = `$JS.API.STREAM.MSG.GET.${stream}`;
    const answer = await this.#inbox.ask({ subject, payload: Buffer.from(JSON.stringify(query)), limitMs });
    if (answer.kind === "absent") throw new NotRead("no responders");
    if (answer.kind === "silent") throw new NotRead("timeout");
    const { buffer, byteOffset, length } = answer.msg.data;
    return toStored(parseJson(Buffer.from(buffer, byteOffset, length).toString()) as Answer);
  }
}

function toStored({ message, error }: Answer): Stored {
  if (error !== undefined) throw new NotRead(error.description ?? "refused", error.err_code, error.code);
  const { subject, seq, hdrs, data, time } = message ?? {};
  if (subject === undefined || seq === undefined) throw new NotRead("the answer is none of a stream");
  return {
    sequence: seq,
    subject,
    headers: hdrs === undefined ? undefined : readHeaders(Buffer.from(hdrs, "base64")),
    payload: data === undefined ? new Uint8Array(0) : Buffer.from(data, "base64"),
    storedAtMs: Date.parse(time ?? ""),
  };
}
