/**
 * The policy in force: its files are read at the start and again when they change.
 *
 * A policy that cannot be read at the start is an error. One that becomes wrong later
 * is told in the log with every mistake, and the one before it stays in force.
 */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { createLocalJWKSet, createRemoteJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import { PoolError } from "../../errors.js";
import { WatchedFiles } from "../../process/files/watched-files.js";
import type { Logger } from "../../process/log.js";
import { Mistakes } from "./mistakes.js";
import { isUrl, type JwtRules, type Policy, parsePolicy } from "./policy.js";
import { readTokenRecords, type TokenEntry, tokensByHash } from "./tokens.js";

/** A policy with all that its files hold. */
export interface PolicyInForce {
  readonly policy: Policy;
  readonly tokens: ReadonlyMap<string, TokenEntry>;
  /** Finds the key of a signed token; undefined when signed tokens are not taken. */
  readonly keys: JWTVerifyGetKey | undefined;
}

/** The option that names the file, in messages. */
const FILE = "policyFile";
/** Fetching a key set: how long it may take, and how soon it is tried again for a key that is not there, in milliseconds. */
const FETCH_LIMIT_MS = 5_000;
const FETCH_PAUSE_MS = 30_000;

/** Keeps a policy up to date. */
export class PolicyKeeper {
  readonly #file: string;
  readonly #log: Logger;
  readonly #watch: WatchedFiles;
  #now: PolicyInForce | undefined;
  /** A key set that is fetched stays while its URL does: it has a cache. */
  #remote: { readonly url: string; readonly keys: JWTVerifyGetKey } | undefined;

  /** @param intervalMs how often the files are looked at; default 1,000 */
  constructor(file: string, log: Logger, intervalMs?: number) {
    this.#file = resolve(file);
    this.#log = log;
    this.#watch = new WatchedFiles(
      () => this.#paths(),
      () => this.#reload(),
      intervalMs,
    );
  }

  /** The policy in force. @throws Error before start() */
  get now(): PolicyInForce {
    if (this.#now === undefined) throw new Error("the policy was not read yet");
    return this.#now;
  }

  /** Reads the files. @throws PoolError `invalid_argument` that lists every mistake */
  start(): void {
    this.#now = this.#read();
    this.#watch.start();
  }

  stop(): void {
    this.#watch.stop();
  }

  #reload(): void {
    try {
      this.#now = this.#read();
      this.#log.info({ file: this.#file }, "policy read again");
    } catch (error) {
      this.#log.error({ error: (error as Error).message }, "the policy is wrong; the one before it stays in force");
    }
  }

  #read(): PolicyInForce {
    const policy = parsePolicy(read(this.#file, FILE), FILE);
    const tokens = policy.tokens === undefined ? new Map() : this.#readTokens(policy.tokens);
    return { policy, tokens, keys: policy.jwt === undefined ? undefined : this.#readKeys(policy.jwt) };
  }

  #readTokens(path: string): ReadonlyMap<string, TokenEntry> {
    const field = `${FILE} tokens`;
    const mistakes = new Mistakes();
    const records = readTokenRecords(read(this.#beside(path), field), mistakes);
    mistakes.throwIfAny(field);
    return tokensByHash(records);
  }

  #readKeys({ jwks }: JwtRules): JWTVerifyGetKey {
    if (!isUrl(jwks)) return createLocalJWKSet(parseKeySet(read(this.#beside(jwks), `${FILE} jwt.jwks`)));
    if (this.#remote?.url === jwks) return this.#remote.keys;
    const limits = { timeoutDuration: FETCH_LIMIT_MS, cooldownDuration: FETCH_PAUSE_MS };
    this.#remote = { url: jwks, keys: createRemoteJWKSet(new URL(jwks), limits) };
    return this.#remote.keys;
  }

  #paths(): string[] {
    const policy = this.#now?.policy;
    const jwks = policy?.jwt?.jwks;
    const named = [policy?.tokens, jwks !== undefined && isUrl(jwks) ? undefined : jwks];
    return [this.#file, ...named.flatMap((each) => (each === undefined ? [] : [this.#beside(each)]))];
  }

  /** A path that the policy file names is meant from its own folder. */
  #beside(path: string): string {
    return resolve(dirname(this.#file), path);
  }
}

/** A key set of public keys. A secret in it would let everybody who reads the file sign. */
function parseKeySet(text: string): JSONWebKeySet {
  const field = `${FILE} jwt.jwks`;
  const mistakes = new Mistakes();
  const root = mistakes.object(mistakes.json(text), "", ["keys"]);
  const keys = mistakes.list(root?.keys, "keys");
  if (root !== undefined && keys.length === 0) mistakes.add("keys", "has no key");
  keys.forEach((each, at) => {
    const { kty, d } = (typeof each === "object" && each !== null ? each : {}) as { kty?: unknown; d?: unknown };
    if (typeof kty !== "string") mistakes.add(`keys[${at}].kty`, "use a JSON Web Key, such as an RSA, EC or OKP one");
    else if (kty === "oct" || d !== undefined) mistakes.add(`keys[${at}]`, "is secret: use the public key");
  });
  mistakes.throwIfAny(field);
  return root as unknown as JSONWebKeySet;
}

function read(path: string, field: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "error";
    throw new PoolError("invalid_argument", `${field}: cannot read ${path} (${code})`, { field: FILE, cause: error });
  }
}
