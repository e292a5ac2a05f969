/**
 * Objects in the broker: written and read in chunks, in the format of NATS object stores (ADR-20), so that
 * `nats object get` and every NATS client can read them.
 *
 * Decided here: one chunk is under way at a time, so memory holds the payload and a chunk. A chunk is published again
 * when nobody has acknowledged it, under the same message id. The name of an object comes last: what has a name is whole.
 * Chunks are asked for one by one; the library's object store has the broker push them, which needs more rights, and
 * waits for ever for a chunk that was deleted meanwhile.
 */
import { createHash } from "node:crypto";
import type { MsgHdrs } from "nats";
import type { PublishAnswer } from "../durable/answers.js";
import { NATS_HEADER } from "../durable/names.js";
import { StreamPublisher } from "../durable/publisher.js";
import { isOff, LaneStore, type Stored } from "../durable/store.js";
import { withCopies } from "../durable/streams.js";
import { PoolError } from "../errors.js";
import { parseJson } from "../job/codec.js";
import type { Bus } from "../link/bus.js";
import { delay } from "../link/runtime.js";
import { wireHeaders } from "../wire/wire-headers.js";
import type { BucketSettings } from "./large-payloads.js";
import type { ObjectReference } from "./reference.js";

/** How reading an object ended. */
export type ObjectRead =
  | { readonly kind: "whole"; readonly bytes: Uint8Array }
  /** It is not there: deleted, or older than its bucket keeps. */
  | { readonly kind: "missing" }
  /** It is not what was written. */
  | { readonly kind: "corrupt" };

const CHUNK_BYTES = 128 * 1024;
/** What a message takes besides its chunk. */
const HEADER_BYTES = 512;
/** So many bytes are hashed at once before others have their turn. */
const HASH_BYTES = 4 * 2 ** 20;
/** How long the broker may be silent in the middle of an object, and the wait before it is asked again, in milliseconds. */
const SILENCE_MS = 10_000;
const ACK_LIMIT_MS = 2_000;
const RETRY_MS = 100;
const NANOS = 1e6;
const FULL_RETRY_MS = 1_000;

const MISSING: ObjectRead = { kind: "missing" };
const CORRUPT: ObjectRead = { kind: "corrupt" };

export class ObjectStore {
  readonly #bus: Bus;
  readonly #lane: LaneStore;
  readonly #publisher: StreamPublisher;
  #isStopped = false;

  constructor(bus: Bus) {
    this.#bus = bus;
    this.#lane = new LaneStore(bus);
    this.#publisher = new StreamPublisher(bus);
  }

  /** Whether the broker has JetStream; true when it does not say. */
  async hasJetStream(bucket: string): Promise<boolean> {
    return this.#lane.streamInfo(streamOf(bucket)).then(
      () => true,
      (thrown: unknown) => !isOff(thrown),
    );
  }

  /** Names and chunks in a bucket; 0 when it is not there. @throws PoolError */
  async messagesIn(bucket: string): Promise<number> {
    return (await this.#lane.streamInfo(streamOf(bucket)))?.state.messages ?? 0;
  }

  /** Whether there is such an object. @throws PoolError */
  async has({ bucket, name, digest }: ObjectReference): Promise<boolean> {
    return (await named(this.#lane, bucket, name))?.digest === digest;
  }

  /**
   * Writes an object; makes the bucket when it is not there.
   *
   * @throws PoolError `pool_full` when the bucket is full, `bus_unavailable`, and what `signal` says
   */
  async put(bucket: BucketSettings, object: ObjectReference, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    await this.#makeRoom(bucket, bytes.length, signal);
    const part = this.#bus.runtime.newId();
    const chunkBytes = Math.max(1, Math.min(CHUNK_BYTES, this.#bus.maxPayloadBytes - HEADER_BYTES));
    const subject = chunksOf(bucket.name, part);
    let chunks = 0;
    try {
      for (let at = 0; at < bytes.length; at += chunkBytes) {
        signal?.throwIfAborted();
        await this.#store(subject, bytes.subarray(at, at + chunkBytes), `${part}.${chunks}`);
        chunks += 1;
      }
      const { name, size, digest } = object;
      const about = { name, bucket: bucket.name, nuid: part, size, chunks, digest, deleted: false };
      const meta = { ...about, mtime: new Date(this.#bus.runtime.wallNow()).toISOString() };
      const options = { max_chunk_size: chunkBytes };
      const text = Buffer.from(JSON.stringify({ ...meta, options }));
      await this.#store(nameOf(bucket.name, name), text, part, (headers) => headers.append("Nats-Rollup", "sub"));
    } catch (thrown) {
      await this.#lane.purge(streamOf(bucket.name), subject).catch(() => {});
      throw thrown;
    }
  }

  /** Reads an object whole. @throws PoolError `bus_unavailable`, and what `signal` says */
  async get({ bucket, name, size, digest }: ObjectReference, signal?: AbortSignal): Promise<ObjectRead> {
    const found = await this.#untilAnswered(() => named(this.#lane, bucket, name), signal);
    if (found === undefined) return MISSING;
    if (found.size !== size || found.digest !== digest) return CORRUPT;
    const bytes = Buffer.allocUnsafeSlow(size);
    const hash = createHash("sha256");
    let read = 0;
    let sequence = 1;
    while (read < size) {
      const from = sequence;
      const chunk = await this.#untilAnswered(() => this.#chunk(bucket, found.nuid, from), signal);
      if (chunk === undefined) return MISSING;
      if (read + chunk.payload.length > size) return CORRUPT;
      bytes.set(chunk.payload, read);
      hash.update(chunk.payload);
      read += chunk.payload.length;
      sequence = chunk.sequence + 1;
    }
    return toDigest(hash.digest()) === digest ? { kind: "whole", bytes } : CORRUPT;
  }

  /** As {@link deleteObject}. @throws PoolError */
  async delete({ bucket, name }: Pick<ObjectReference, "bucket" | "name">): Promise<void> {
    await deleteObject(this.#lane, { bucket, name });
  }

  /** Hears nothing any more: what is under way ends as `canceled`. */
  stop(): void {
    this.#isStopped = true;
    this.#publisher.stop();
  }

  async #makeRoom(bucket: BucketSettings, bytes: number, signal: AbortSignal | undefined): Promise<void> {
    const stream = streamOf(bucket.name);
    const found = await this.#untilAnswered(() => this.#lane.streamInfo(stream), signal);
    const info = found ?? (await this.#create(bucket));
    const most = info.config.max_bytes;
    if (most > 0 && info.state.bytes + bytes > most) throw full(bucket.name);
  }

  async #create({ name, ttlMs, storeBytes }: BucketSettings): Promise<Awaited<ReturnType<LaneStore["addStream"]>>> {
    const settings = {
      name: streamOf(name),
      subjects: [`$O.${name}.C.>`, `$O.${name}.M.>`],
      storage: "file",
      discard: "new",
      max_age: ttlMs * NANOS,
      max_bytes: storeBytes,
      allow_direct: true,
      allow_rollup_hdrs: true,
    };
    try {
      const isCluster = this.#bus.nc.info?.cluster !== undefined;
      const make = (num_replicas: number) => this.#lane.addStream({ ...settings, num_replicas } as never);
      return await withCopies(isCluster, make);
    } catch (thrown) {
      // Somebody else has just made it, perhaps.
      const info = await this.#lane.streamInfo(settings.name).catch(() => undefined);
      if (info !== undefined) return info;
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      const message = `object store ${name} is not there, and could not be made: ${why}`;
      throw new PoolError("bus_unavailable", message, { cause: thrown });
    }
  }

  /** One message, until it is stored. */
  async #store(
    subject: string,
    payload: Uint8Array,
    id: string,
    more: (headers: MsgHdrs) => void = () => {},
  ): Promise<void> {
    const { runtime } = this.#bus;
    const untilMs = runtime.now() + SILENCE_MS;
    for (;;) {
      const headers = wireHeaders();
      headers.append(NATS_HEADER.messageId, id);
      more(headers);
      const answer = await this.#publisher
        .publish({ subject, payload, headers }, ACK_LIMIT_MS)
        .catch((): PublishAnswer => ({ kind: "silent" }));
      if (answer.kind === "stored") return;
      this.#requireLife();
      // A stream without a leader is absent for a while, or refuses.
      if (isFull(answer) || runtime.now() >= untilMs) throw notStored(answer, subject.split(".")[1] ?? "");
      await delay(runtime, RETRY_MS);
    }
  }

  /** @throws PoolError `canceled` after stop() */
  #requireLife(): void {
    if (this.#isStopped) throw new PoolError("canceled", "stopped while an object was written or read");
  }

  /** From any replica; when that one does not have it yet, from the leader. */
  async #chunk(bucket: string, nuid: string, from: number): Promise<Stored | undefined> {
    const stream = streamOf(bucket);
    const subject = chunksOf(bucket, nuid);
    return (await this.#lane.next(stream, subject, from)) ?? (await this.#lane.nextDecisive(stream, subject, from));
  }

  /** Asks again while the broker is away, for a while. */
  async #untilAnswered<T>(question: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const { runtime } = this.#bus;
    const untilMs = runtime.now() + SILENCE_MS;
    for (;;) {
      signal?.throwIfAborted();
      try {
        return await question();
      } catch (thrown) {
        this.#requireLife();
        if (isOff(thrown) || runtime.now() >= untilMs) throw thrown;
        await delay(runtime, RETRY_MS);
      }
    }
  }
}

/** What deleting needs of a {@link LaneStore}. */
export type ObjectDeletion = Pick<LaneStore, "last" | "purge">;

/** Deletes an object, if it is there: its name first, so that nobody begins to read it. @throws PoolError */
export async function deleteObject(
  store: ObjectDeletion,
  { bucket, name }: Pick<ObjectReference, "bucket" | "name">,
): Promise<void> {
  const found = await named(store, bucket, name);
  if (found === undefined) return;
  await store.purge(streamOf(bucket), nameOf(bucket, name));
  await store.purge(streamOf(bucket), chunksOf(bucket, found.nuid));
}

/** What is written under a name. */
interface Named {
  readonly nuid: string;
  readonly size: number;
  readonly digest: string;
}

async function named(store: ObjectDeletion, bucket: string, name: string): Promise<Named | undefined> {
  const stored = await store.last(streamOf(bucket), nameOf(bucket, name));
  if (stored === undefined) return undefined;
  const { nuid, size, digest, deleted } = readMeta(stored);
  const isThere = typeof nuid === "string" && typeof size === "number" && typeof digest === "string" && !deleted;
  return isThere ? { nuid, size, digest } : undefined;
}

/** The digest of a payload, as it stands in a reference. Others have their turn while a long one is made. */
export async function digestOf(bytes: Uint8Array): Promise<string> {
  const hash = createHash("sha256");
  for (let at = 0; at < bytes.length; at += HASH_BYTES) {
    hash.update(bytes.subarray(at, at + HASH_BYTES));
    if (at + HASH_BYTES < bytes.length) await new Promise(setImmediate);
  }
  return toDigest(hash.digest());
}

/** Base64url with padding, as object stores of NATS write it. */
function padded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64").replaceAll("+", "-").replaceAll("/", "_");
}

function toDigest(sha256: Uint8Array): string {
  return `SHA-256=${padded(sha256)}`;
}

function streamOf(bucket: string): string {
  return `OBJ_${bucket}`;
}

function chunksOf(bucket: string, part: string): string {
  return `$O.${bucket}.C.${part}`;
}

function nameOf(bucket: string, name: string): string {
  return `$O.${bucket}.M.${padded(Buffer.from(name))}`;
}

function readMeta({ payload }: Stored): Record<string, unknown> {
  try {
    return parseJson(Buffer.from(payload).toString()) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function full(bucket: string): PoolError {
  const message = `object store ${bucket} is full`;
  return new PoolError("pool_full", message, { field: "payload", retryAfterMs: FULL_RETRY_MS });
}

function isFull(answer: PublishAnswer): boolean {
  return answer.kind === "refused" && /maximum (messages|bytes) exceeded/.test(answer.text);
}

function notStored(answer: Exclude<PublishAnswer, { kind: "stored" }>, bucket: string): PoolError {
  if (isFull(answer)) return full(bucket);
  const why = answer.kind === "refused" ? answer.text : "no acknowledgement in time";
  return new PoolError("bus_unavailable", `object store ${bucket}: ${why}`, { retryAfterMs: FULL_RETRY_MS });
}
