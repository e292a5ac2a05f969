/**
 * The option `largePayloads` of clients and workers, with its defaults. Pure.
 *
 * There are three buckets, so that each part has the least rights: clients write what is submitted and what is
 * enqueued, workers write results.
 */
import { PoolError } from "../errors.js";

/** Payloads over the broker's limit go through object stores of JetStream. */
export interface LargePayloadOptions {
  /** Begins the names of the buckets: `B-submitted`, `B-enqueued`, `B-results`. Default: the prefix, "pool". */
  bucket?: string;
  /** The largest payload and the largest result, in bytes; default 268,435,456. */
  maxBytes?: number;
  /** What is larger than this goes through the store, in bytes; default and at most: what the broker takes in one message. */
  thresholdBytes?: number;
  /** How long payloads of `submit` and results are kept at most, in milliseconds; default 25 hours. Only when the bucket is made. */
  ttlMs?: number;
  /** The same of payloads of `enqueue`; default 30 days, as long as dead letters. */
  enqueuedTtlMs?: number;
  /** The most that one bucket holds, in bytes; default 2 GiB, which the broker reserves. Only when the bucket is made. */
  storeBytes?: number;
}

/** Settings of a bucket that is made. */
export interface BucketSettings {
  readonly name: string;
  readonly ttlMs: number;
  readonly storeBytes: number;
}

/** The option with every default in place. */
export interface LargePayloads {
  readonly maxBytes: number;
  readonly thresholdBytes: number;
  readonly submitted: BucketSettings;
  readonly enqueued: BucketSettings;
  readonly results: BucketSettings;
}

/** Beside an outcome, which is kept for 24 hours and is stored after its result. */
const DEFAULT_TTL_MS = 25 * 3_600_000;
const DEFAULT_ENQUEUED_TTL_MS = 30 * 24 * 3_600_000;
const DEFAULT_MAX_BYTES = 256 * 2 ** 20;
const DEFAULT_STORE_BYTES = 2 * 2 ** 30;
/** A payload is in memory whole. */
const MOST_BYTES = 2 ** 32 - 1;
const MOST = Number.MAX_SAFE_INTEGER;

/** What a bucket holds. */
export type BucketKind = "submitted" | "enqueued" | "results";

/** The buckets' names of a mesh. */
export function bucketNames(bucket: string): Readonly<Record<BucketKind, string>> {
  return { submitted: `${bucket}-submitted`, enqueued: `${bucket}-enqueued`, results: `${bucket}-results` };
}

/** Whether a bucket holds this, of whichever mesh. */
export function isBucketOf(name: string, kind: BucketKind): boolean {
  return name.endsWith(`-${kind}`);
}

/** The default of `bucket`. */
export function defaultBucket(prefix: string): string {
  return prefix.replaceAll(".", "_");
}

/**
 * Checks the option and fills in its defaults.
 *
 * @returns undefined when it is off
 * @throws PoolError `invalid_argument`, field "largePayloads"
 */
export function settleLargePayloads(
  option: boolean | LargePayloadOptions | undefined,
  prefix: string,
): LargePayloads | undefined {
  if (option === undefined || option === false) return undefined;
  const { bucket = defaultBucket(prefix), ...said } = option === true ? {} : option;
  if (!/^[A-Za-z0-9_-]{1,40}$/.test(bucket)) throw refused('bucket: use 1 to 40 letters, digits, "_" or "-"');
  const ttlMs = whole("ttlMs", said.ttlMs ?? DEFAULT_TTL_MS, MOST);
  const enqueuedTtlMs = whole("enqueuedTtlMs", said.enqueuedTtlMs ?? DEFAULT_ENQUEUED_TTL_MS, MOST);
  const storeBytes = whole("storeBytes", said.storeBytes ?? DEFAULT_STORE_BYTES, MOST);
  const names = bucketNames(bucket);
  return {
    maxBytes: whole("maxBytes", said.maxBytes ?? DEFAULT_MAX_BYTES, MOST_BYTES),
    thresholdBytes: said.thresholdBytes === undefined ? MOST : whole("thresholdBytes", said.thresholdBytes, MOST_BYTES),
    submitted: { name: names.submitted, ttlMs, storeBytes },
    enqueued: { name: names.enqueued, ttlMs: enqueuedTtlMs, storeBytes },
    results: { name: names.results, ttlMs, storeBytes },
  };
}

function whole(name: string, value: number, most: number): number {
  if (Number.isSafeInteger(value) && value >= 1 && value <= most) return value;
  throw refused(`${name}: use a whole number from 1 to ${most}`);
}

function refused(why: string): PoolError {
  return new PoolError("invalid_argument", `largePayloads.${why}`, { field: "largePayloads" });
}

/** @throws PoolError `payload_too_large` for a payload over `maxBytes` */
export function checkSize(payload: Uint8Array, { maxBytes }: LargePayloads): void {
  if (payload.length <= maxBytes) return;
  const message = `payload: ${payload.length} bytes, largePayloads.maxBytes is ${maxBytes}`;
  throw new PoolError("payload_too_large", message, { field: "payload" });
}
