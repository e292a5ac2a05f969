/** Key sets (JWKS): public keys that check signed tokens, from a file or from a URL. */
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
} from "jose";
import { Mistakes } from "./mistakes.js";

/** Public keys. */
export interface KeySet {
  /** Finds the key of a signed token. */
  readonly find: JWTVerifyGetKey;
  /** Whether the keys may change without a new policy. */
  readonly isFetched: boolean;
}

/** Fetching a key set: how long it may take, and how soon it is tried again for a key that is not there, in milliseconds. */
const FETCH_LIMIT_MS = 5_000;
const FETCH_PAUSE_MS = 30_000;
/** After a failure it is not tried again for this long, whatever tokens come, in milliseconds. */
const FAILURE_PAUSE_MS = 1_000;
/** A larger key set is not read, in bytes: hundreds of keys are much smaller. */
const MAX_BYTES = 1024 * 1024;
/** A shorter RSA key can be broken, and the JOSE library refuses to check with it. */
const MIN_RSA_BITS = 2_048;

/** The key set could not be fetched. */
class FetchFailed extends Error {}

/** The keys of a file. @param field names the file in messages. @throws PoolError `invalid_argument` that lists every mistake */
export function keysOfText(text: string, field: string): KeySet {
  return { find: createLocalJWKSet(parseKeySet(text, field)), isFetched: false };
}

/** The keys behind a URL. They are fetched when one is missing, and again ten minutes later. @param onFailure hears why they cannot be fetched */
export function keysOfUrl(url: string, onFailure: (why: string) => void): KeySet {
  const limits = { timeoutDuration: FETCH_LIMIT_MS, cooldownDuration: FETCH_PAUSE_MS };
  let pausedUntilMs = 0;
  const failed = (why: string): void => {
    pausedUntilMs = performance.now() + FAILURE_PAUSE_MS;
    onFailure(why);
  };
  const fetchKeys = async (...request: Parameters<typeof fetch>): Promise<Response> => {
    if (performance.now() < pausedUntilMs) throw new FetchFailed("the key set could not be fetched a moment ago");
    try {
      const response = await fetch(...request);
      if (response.status === 200) return new Response(await textWithin(response, MAX_BYTES));
      failed(`HTTP status ${response.status}`);
      return response;
    } catch (error) {
      failed(reasonOf(error));
      // The library tells a timeout by its name.
      if (error instanceof Error && error.name === "TimeoutError") throw error;
      throw new FetchFailed("the key set could not be fetched", { cause: error });
    }
  };
  return { find: createRemoteJWKSet(new URL(url), { ...limits, [customFetch]: fetchKeys }), isFetched: true };
}

/** The text of a response. @throws Error when it is larger */
async function textWithin({ body }: Response, mostBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > mostBytes) throw new Error(`larger than ${mostBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** Whether an error says that the keys could not be had, and so nothing of the token. */
export function isOutage(error: unknown): boolean {
  if (error instanceof FetchFailed || error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid)
    return true;
  return error instanceof errors.JOSEError && error.code === "ERR_JOSE_GENERIC";
}

/** What is behind "fetch failed", and what to do about it. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  const { code, message } = cause as { code?: unknown; message?: unknown };
  const why = String(code ?? message);
  return /CERT|SIGNATURE|ALTNAME/.test(why) ? `${why}: name the CA of the server in NODE_EXTRA_CA_CERTS` : why;
}

/** A key set of public keys. A secret in it would let everybody who reads the file sign. */
function parseKeySet(text: string, field: string): JSONWebKeySet {
  const mistakes = new Mistakes();
  const root = mistakes.object(mistakes.json(text), "", ["keys"]);
  const keys = mistakes.list(root?.keys, "keys");
  if (root !== undefined && keys.length === 0) mistakes.add("keys", "has no key");
  keys.forEach((each, at) => {
    const { kty, d, n, use } = (typeof each === "object" && each !== null ? each : {}) as Record<string, unknown>;
    if (typeof kty !== "string") mistakes.add(`keys[${at}].kty`, "use a JSON Web Key, such as an RSA, EC or OKP one");
    else if (kty === "oct" || d !== undefined) mistakes.add(`keys[${at}]`, "is secret: use the public key");
    else if (kty === "RSA" && use !== "enc" && bitsOf(n) < MIN_RSA_BITS) {
      mistakes.add(`keys[${at}].n`, `is too weak: use an RSA key of ${MIN_RSA_BITS} bits or more`);
    }
  });
  mistakes.throwIfAny(field);
  return root as unknown as JSONWebKeySet;
}

/** The length of a number in base64url; at most seven bits too long. */
function bitsOf(value: unknown): number {
  return typeof value === "string" ? Buffer.from(value, "base64url").length * 8 : 0;
}
