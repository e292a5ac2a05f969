/**
 * Payloads in messages: how large one may be, and how several travel in one. Pure.
 *
 * A **bundle** holds several jobs, or several results, between a manager and a
 * worker that both understand it, or several submissions, or answers to them, between a client and a manager. A message costs both ends and the broker more than an empty job does,
 * and headers as text more than all else that crosses; so what is sent to one
 * place in one turn of the event loop travels together, in binary. An entry is,
 * big-endian: 1 with a trace, else 0; length of its token; length of its id;
 * length of its nonce (a byte each); attempt; time left in milliseconds; length of its payload (four
 * bytes each); then token, id, nonce, perhaps the trace (its length in two bytes,
 * traceparent, a line feed, tracestate), payload.
 */

import type { MsgHdrs } from "nats";
import { PoolError } from "../errors.js";
import { DURABLE, HEADER, HEADER_RESERVE_BYTES, type JobHeaders, writeJobHeaders } from "./headers.js";
import { MAX_NAME_LENGTH } from "./subjects.js";
import { firstHeaderIs, wireHeaders } from "./wire-headers.js";

/** One job or result of a bundle. */
export interface BundleEntry {
  /** The last token of the job's reply subject. */
  readonly token: string;
  readonly id: string;
  /** The nonce of its submission; "" when its id is its own. Only workers of protocol version 2 read it. */
  readonly nonce: string;
  readonly attempt: number;
  readonly payload: Uint8Array;
  /** Of a job: the time left when it was sent, in milliseconds. Of a result for a client: how long its job waited, in microseconds. Else 0. */
  readonly timeoutMs: number;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
}

/** A larger payload goes alone: it would gain nothing and delay the others. */
export const MAX_BUNDLED_BYTES = 4_096;
/** A result whose job waited longer goes alone: its time has no room in an entry. In milliseconds. */
export const MAX_BUNDLED_WAIT_MS = 4_000_000;
/** A bundle is sent when it has so many entries, or before it would have more bytes. */
export const MAX_BUNDLE_ENTRIES = 128;
export const MAX_BUNDLE_BYTES = 256 * 1_024;
/** What an entry has at most besides payload and trace. */
const MAX_NAMES_BYTES = 448;

const FIXED_BYTES = 16;
const WITH_TRACE = 1;
/** What a byte may be of: a token, a name, the first of a name. What is neither, the broker would read as protocol. */
const [OF_TOKEN, OF_NAME, BEGINS_NAME] = [1, 2, 4] as const;
const MEANINGS = Uint8Array.from({ length: 256 }, (_, code) => {
  const letter = String.fromCharCode(code);
  if (/[A-Za-z0-9]/.test(letter)) return OF_TOKEN | OF_NAME | BEGINS_NAME;
  return letter === "_" ? OF_TOKEN | OF_NAME : letter === "-" ? OF_NAME : 0;
});

/** How many units of an entry's time a millisecond of waiting has. */
const WAIT_UNITS_PER_MS = 1_000;

/** The entry of a result. @param waitMs how long its job waited, in milliseconds, where a manager says it */
export function resultEntry(
  { token, id, attempt, payload }: Pick<BundleEntry, "token" | "id" | "attempt" | "payload">,
  waitMs = 0,
): BundleEntry {
  const timeoutMs = waitMs * WAIT_UNITS_PER_MS;
  return { token, id, nonce: "", attempt, payload, timeoutMs, traceparent: undefined, tracestate: undefined };
}

/** How long the job of a result waited, in milliseconds. */
export function waitMsOf({ timeoutMs }: Pick<BundleEntry, "timeoutMs">): number {
  return timeoutMs / WAIT_UNITS_PER_MS;
}

/** What an entry will take in a bundle at most, in bytes. */
export function mostBytes(entry: Pick<BundleEntry, "payload" | "traceparent" | "tracestate">): number {
  const { payload, traceparent, tracestate } = entry;
  return MAX_NAMES_BYTES + payload.length + (traceparent?.length ?? 0) + (tracestate?.length ?? 0);
}

/** Several entries as the payload of one message. */
export function encodeBundle(entries: readonly BundleEntry[]): Uint8Array {
  let length = 0;
  for (const entry of entries) length += sizeOf(entry);
  const bytes = Buffer.allocUnsafe(length);
  let at = 0;
  for (const entry of entries) at = write(bytes, at, entry);
  return bytes;
}

/** Calls `visit` for each entry of a bundle. False when an entry is none; those before it were visited. */
export function decodeBundle(data: Uint8Array, visit: (entry: BundleEntry) => void): boolean {
  return eachEntry(data, (bytes, at, length) => visit(readEntry(bytes, at, length)));
}

/** A result of a bundle. Its token is bytes of the bundle, which nobody need copy to find who waits for it. */
export class BundledResult {
  readonly tokenFrom: number;
  readonly tokenTo: number;
  readonly #at: number;
  readonly #length: number;

  /** @param at where its entry begins in the bundle, and how many bytes it has */
  constructor(
    readonly bytes: Buffer,
    at: number,
    length: number,
  ) {
    this.#at = at;
    this.#length = length;
    this.tokenFrom = at + FIXED_BYTES;
    this.tokenTo = this.tokenFrom + (bytes[at + 1] as number);
  }

  get id(): string {
    return this.bytes.toString("latin1", this.tokenTo, this.tokenTo + (this.bytes[this.#at + 2] as number));
  }

  get attempt(): number {
    return readUint32(this.bytes, this.#at + 4);
  }

  /** How long its job waited, in milliseconds; a manager says it, a worker does not. */
  get waitMs(): number {
    return readUint32(this.bytes, this.#at + 8) / WAIT_UNITS_PER_MS;
  }

  get payload(): Uint8Array {
    return payloadOf(this.bytes, this.#at, this.#length);
  }
}

/** Calls `visit` for each result of a bundle. False when an entry is none; those before it were visited. */
export function decodeResults(data: Uint8Array, visit: (result: BundledResult) => void): boolean {
  return eachEntry(data, (bytes, at, length) => visit(new BundledResult(bytes, at, length)));
}

function eachEntry(data: Uint8Array, visit: (bytes: Buffer, at: number, length: number) => void): boolean {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
  for (let at = 0; at < bytes.length; ) {
    const length = lengthOf(bytes, at);
    if (length === undefined || !isEntry(bytes, at)) return false;
    visit(bytes, at, length);
    at += length;
  }
  return true;
}

function sizeOf(entry: BundleEntry): number {
  const { token, id, nonce, payload, traceparent = "", tracestate = "" } = entry;
  const traceBytes = hasTrace(entry) ? 2 + traceparent.length + 1 + tracestate.length : 0;
  return FIXED_BYTES + token.length + id.length + nonce.length + traceBytes + payload.length;
}

function write(bytes: Buffer, from: number, entry: BundleEntry): number {
  const { token, id, nonce, payload, traceparent = "", tracestate = "" } = entry;
  const trace = hasTrace(entry) ? `${traceparent}\n${tracestate}` : undefined;
  bytes[from] = trace === undefined ? 0 : WITH_TRACE;
  bytes[from + 1] = token.length;
  bytes[from + 2] = id.length;
  bytes[from + 3] = nonce.length;
  writeUint32(bytes, from + 4, entry.attempt);
  writeUint32(bytes, from + 8, Math.ceil(entry.timeoutMs));
  writeUint32(bytes, from + 12, payload.length);
  let at = writeText(bytes, from + FIXED_BYTES, token);
  at = writeText(bytes, at, id);
  if (nonce !== "") at = writeText(bytes, at, nonce);
  if (trace !== undefined) at = writeText(bytes, bytes.writeUInt16BE(trace.length, at), trace);
  bytes.set(payload, at);
  return at + payload.length;
}

// The methods of Buffer check their arguments, which costs more than the bytes.

function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

function readUint32(bytes: Uint8Array, at: number): number {
  const [a, b, c, d] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]] as [number, number, number, number];
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}

/** Tokens and ids are a few ASCII characters: a loop is quicker than a call into the runtime. */
function writeText(bytes: Buffer, at: number, text: string): number {
  for (let i = 0; i < text.length; i += 1) bytes[at + i] = text.charCodeAt(i);
  return at + text.length;
}

/** The whole length of the entry at `at`; undefined when there is not so much. */
function lengthOf(bytes: Buffer, at: number): number | undefined {
  if (at + FIXED_BYTES > bytes.length) return undefined;
  const texts = (bytes[at + 1] as number) + (bytes[at + 2] as number) + (bytes[at + 3] as number);
  let length = FIXED_BYTES + texts + readUint32(bytes, at + 12);
  if (bytes[at] === WITH_TRACE) {
    if (at + FIXED_BYTES + texts + 2 > bytes.length) return undefined;
    length += 2 + bytes.readUInt16BE(at + FIXED_BYTES + texts);
  }
  return at + length > bytes.length ? undefined : length;
}

/** Whether token, id and nonce of the entry at `at` are what they may be. */
function isEntry(bytes: Uint8Array, at: number): boolean {
  const tokenEnd = at + FIXED_BYTES + (bytes[at + 1] as number);
  const idEnd = tokenEnd + (bytes[at + 2] as number);
  const nonceEnd = idEnd + (bytes[at + 3] as number);
  if (tokenEnd === at + FIXED_BYTES || !isAllOf(OF_TOKEN, bytes, at + FIXED_BYTES, tokenEnd)) return false;
  return isNameAt(bytes, tokenEnd, idEnd) && (nonceEnd === idEnd || isNameAt(bytes, idEnd, nonceEnd));
}

function isNameAt(bytes: Uint8Array, from: number, to: number): boolean {
  if (to === from || to - from > MAX_NAME_LENGTH) return false;
  return ((MEANINGS[bytes[from] as number] as number) & BEGINS_NAME) !== 0 && isAllOf(OF_NAME, bytes, from + 1, to);
}

function isAllOf(meaning: number, bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) if (((MEANINGS[bytes[at] as number] as number) & meaning) === 0) return false;
  return true;
}

function readEntry(bytes: Buffer, at: number, length: number): BundleEntry {
  const tokenEnd = at + FIXED_BYTES + (bytes[at + 1] as number);
  const idEnd = tokenEnd + (bytes[at + 2] as number);
  const nonceEnd = idEnd + (bytes[at + 3] as number);
  const trace = bytes[at] === WITH_TRACE ? readTrace(bytes, nonceEnd) : undefined;
  return {
    token: bytes.toString("latin1", at + FIXED_BYTES, tokenEnd),
    id: bytes.toString("latin1", tokenEnd, idEnd),
    nonce: nonceEnd === idEnd ? "" : bytes.toString("latin1", idEnd, nonceEnd),
    attempt: readUint32(bytes, at + 4),
    timeoutMs: readUint32(bytes, at + 8),
    traceparent: trace?.[0] || undefined,
    tracestate: trace?.[1] || undefined,
    payload: payloadOf(bytes, at, length),
  };
}

function payloadOf(bytes: Buffer, at: number, length: number): Uint8Array {
  const payloadBytes = readUint32(bytes, at + 12);
  return new Uint8Array(bytes.buffer, bytes.byteOffset + at + length - payloadBytes, payloadBytes);
}

function readTrace(bytes: Buffer, at: number): string[] {
  return bytes.toString("latin1", at + 2, at + 2 + bytes.readUInt16BE(at)).split("\n", 2);
}

function hasTrace({ traceparent, tracestate }: BundleEntry): boolean {
  return traceparent !== undefined || tracestate !== undefined;
}

/** Whether a message is a bundle of several. */
export const isBundle = firstHeaderIs(HEADER.bundle);

/** What a bundle of jobs says of all of them. */
export interface BundleHeaders {
  /** When it was sent, milliseconds since the epoch; for workers of protocol version 1. */
  readonly sentAt: number | undefined;
  /** As in JobHeaders. */
  readonly clockMs: number | undefined;
  readonly startWithinMs: number | undefined;
  readonly durable?: boolean;
  readonly maxAttempts?: number | undefined;
  readonly join?: boolean;
}

/** Headers of a bundle of jobs; they are read as those of a job. */
export function encodeJobsHeaders(count: number, about: BundleHeaders): MsgHdrs {
  const { sentAt, clockMs, startWithinMs, durable, maxAttempts, join } = about;
  const h = wireHeaders();
  h.append(HEADER.bundle, String(count));
  if (sentAt !== undefined) h.append(HEADER.sentAt, String(sentAt));
  if (clockMs !== undefined) h.append(HEADER.clock, String(Math.floor(clockMs)));
  if (startWithinMs !== undefined) h.append(HEADER.startWithinMs, String(Math.floor(startWithinMs)));
  if (durable) h.append(HEADER.lane, DURABLE);
  if (maxAttempts !== undefined) h.append(HEADER.maxAttempts, String(maxAttempts));
  if (join) h.append(HEADER.join, "1");
  return h;
}

/** Headers of a bundle of results. */
export function encodeResultsHeaders(count: number, worker: string, free: number): MsgHdrs {
  const h = wireHeaders();
  h.append(HEADER.bundle, String(count));
  h.append(HEADER.worker, worker);
  h.append(HEADER.free, String(free));
  return h;
}

/** Headers of a bundle of submissions. @param about what is to be said of all of them */
export function encodeSubmissionsHeaders(count: number, about: JobHeaders): MsgHdrs {
  const h = wireHeaders();
  h.append(HEADER.bundle, String(count));
  return writeJobHeaders(h, about);
}

/** Headers of a manager's answers to several submissions of one client. */
export function encodeAnswersHeaders(
  count: number,
  kind: "accepted" | "result",
  manager: string,
  worker = "",
): MsgHdrs {
  const h = wireHeaders();
  h.append(HEADER.bundle, String(count));
  h.append(HEADER.reply, kind);
  h.append(HEADER.manager, manager);
  if (worker !== "") h.append(HEADER.worker, worker);
  return h;
}

// What the broker takes in one message beside our headers. A broker that comes back may take less than the one before.
// So this is asked when a job or a result leaves, and not only when it comes.

/** Headers that count besides ours. */
export interface Trace {
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
}

/** The largest payload of a job without trace headers, and the largest result, in bytes. */
export function payloadLimit(bus: { readonly maxPayloadBytes: number }): number {
  return bus.maxPayloadBytes - HEADER_RESERVE_BYTES;
}

/** `payload_too_large` for a job that the broker does not take, else undefined. */
export function jobRefusal(
  payload: Uint8Array,
  { traceparent = "", tracestate = "" }: Trace,
  limit: number,
  maybeExecuted = false,
): PoolError | undefined {
  const left = limit - traceparent.length - tracestate.length;
  if (payload.length <= left) return undefined;
  const message = `payload: ${payload.length} bytes, the broker takes ${Math.max(0, left)}; see largePayloads`;
  return new PoolError("payload_too_large", message, { field: "payload", maybeExecuted });
}

/** `payload_too_large` for a result that the broker does not take, else undefined. */
export function resultRefusal(payload: Uint8Array, limit: number): PoolError | undefined {
  if (payload.length <= limit) return undefined;
  const message = `the result has ${payload.length} bytes; the broker takes at most ${limit}; see largePayloads`;
  return new PoolError("payload_too_large", message, { field: "result", maybeExecuted: true });
}

/** How the text begins that travels in place of a payload in the object store (mesh/objects/reference.ts). */
export const REFERENCE_PREFIX = "poolmesh-object/1 ";

const REFERENCE_START = Buffer.from(REFERENCE_PREFIX);

/** Whether bytes begin as the name of an object does. */
export function isReference(bytes: Uint8Array): boolean {
  if (bytes[0] !== REFERENCE_START[0] || bytes.length < REFERENCE_START.length) return false;
  return REFERENCE_START.every((byte, i) => bytes[i] === byte);
}

/** A buffer of which at least this share is a payload is no waste to keep. */
const OWN_SHARE = 7 / 8;

/**
 * Bytes of a message that outlive it. nats.js gives a large message a buffer of its own, which is kept as it is; a
 * small one is a part of all that the socket was read for, so it is copied.
 */
export function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.length >= OWN_SHARE * bytes.buffer.byteLength ? bytes : bytes.slice();
}
