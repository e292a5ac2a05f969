/**
 * A payload that is in the object store: the text that travels in its place. Pure.
 *
 *   poolmesh-object/1 {"bucket":"pool-submitted","name":"…","size":104857600,"digest":"SHA-256=…"}
 *
 * It is a payload like any other to managers, streams, bundles and dead letters. Who has `largePayloads` writes it, and
 * puts a payload that begins like one into the store too. So every payload arrives as it was.
 */
import { PoolError } from "../errors.js";
import { parseJson } from "../job/codec.js";
import { REFERENCE_PREFIX } from "../wire/payloads.js";

/** Where an object is, and what it must be. */
export interface ObjectReference {
  readonly bucket: string;
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /** "SHA-256=" and the digest in base64url with padding, as object stores of NATS write it. */
  readonly digest: string;
}

/** The longest reference, in bytes. */
export const MAX_REFERENCE_BYTES = 1_024;

const NAME = /^[A-Za-z0-9_.=-]{1,200}$/;
const DIGEST = /^SHA-256=[A-Za-z0-9_-]{43}=$/;

/** The payload that travels in place of the object. */
export function encodeReference({ bucket, name, size, digest }: ObjectReference): Uint8Array {
  return Buffer.from(`${REFERENCE_PREFIX}${JSON.stringify({ bucket, name, size, digest })}`);
}

/** The name of an object of one job. @param own tells it from others of the job */
export function objectName(pool: string, id: string, own: string): string {
  return `${pool}.${id}.${own}`;
}

/** Whether an object is named for this job: nobody is sent to the object of another one. */
export function isObjectOf({ name }: ObjectReference, pool: string, id: string): boolean {
  return name.startsWith(objectName(pool, id, ""));
}

/** @throws PoolError `invalid_argument`, field "payload", when it is malformed */
export function decodeReference(bytes: Uint8Array): ObjectReference {
  const said = bytes.length > MAX_REFERENCE_BYTES ? undefined : readJson(bytes);
  const { bucket, name, size, digest } = (said ?? {}) as Record<string, unknown>;
  const isWhole =
    typeof bucket === "string" &&
    NAME.test(bucket) &&
    typeof name === "string" &&
    NAME.test(name) &&
    Number.isSafeInteger(size) &&
    (size as number) >= 0 &&
    typeof digest === "string" &&
    DIGEST.test(digest);
  if (isWhole) return { bucket, name, size: size as number, digest };
  throw new PoolError("invalid_argument", "payload: it begins as the name of an object does, and is none", {
    field: "payload",
    jobCode: "payload.malformed",
  });
}

function readJson(bytes: Uint8Array): unknown {
  try {
    return parseJson(Buffer.from(bytes.subarray(REFERENCE_PREFIX.length)).toString());
  } catch {
    return undefined;
  }
}
