/** The subject at which a delivered message is acknowledged, taken apart, and what is said there. Pure. */

/** What the subject tells of a delivery. */
export interface DeliveryFacts {
  readonly stream: string;
  readonly consumer: string;
  /** How often the message was delivered; 1 for the first time. */
  readonly deliveries: number;
  /** Its sequence in the stream. */
  readonly sequence: number;
  /** How many deliveries its consumer has made, this one included. */
  readonly count: number;
  /** When the stream stored the message, nanoseconds since the epoch: the same at each delivery. */
  readonly storedAt: string;
  /** Messages that wait behind it. */
  readonly pending: number;
}

const START = "$JS.ACK.";
/** Tokens without, and with, the domain and the account. */
const SHORT = 9;
const LONG = 11;

/** Undefined for a subject that is none. */
export function readAckSubject(subject: string | undefined): DeliveryFacts | undefined {
  if (subject?.startsWith(START) !== true) return undefined;
  const tokens = subject.split(".");
  const from = tokens.length >= LONG ? 4 : 2;
  if (tokens.length !== SHORT && tokens.length < LONG) return undefined;
  const facts = {
    stream: tokens[from] as string,
    consumer: tokens[from + 1] as string,
    deliveries: Number(tokens[from + 2]),
    sequence: Number(tokens[from + 3]),
    count: Number(tokens[from + 4]),
    storedAt: tokens[from + 5] as string,
    pending: Number(tokens[from + 6]),
  };
  const { stream, consumer, deliveries, sequence, count, storedAt, pending } = facts;
  const isWhole = [deliveries, sequence, count, pending].every(Number.isInteger);
  return isWhole && stream !== "" && consumer !== "" && /^\d{1,20}$/.test(storedAt) ? facts : undefined;
}

const encoder = new TextEncoder();

/** It is done: the stream deletes it. */
export const ACK = encoder.encode("+ACK");
/** It is still worked on. */
export const IN_PROGRESS = encoder.encode("+WPI");

/** It is to be delivered again. @param delayMs not before so many milliseconds */
export function giveBack(delayMs: number): Uint8Array {
  return encoder.encode(delayMs <= 0 ? "-NAK" : `-NAK {"delay": ${Math.ceil(delayMs) * 1_000_000}}`);
}
