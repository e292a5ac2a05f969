/**
 * The policy in force: its files are read at the start and again when they change.
 *
 * A policy that cannot be read at the start is an error. One that becomes wrong later
 * is told in the log with every mistake, and the one before it stays in force.
 */
import { dirname, resolve } from "node:path";
import { PoolError } from "../../errors.js";
import { warnOfLoose } from "../../process/files/file-modes.js";
import { type ReadFile, WatchedFiles } from "../../process/files/watched-files.js";
import type { Logger } from "../../process/log.js";
import { RepeatedLines } from "../../process/repeated-lines.js";
import { type KeySet, keysOfText, keysOfUrl } from "./key-sets.js";
import { Mistakes } from "./mistakes.js";
import { isUrl, type JwtRules, type Policy, parsePolicy } from "./policy.js";
import { readTokenRecords, type TokenEntry, tokensByHash } from "./tokens.js";

/** A policy with all that its files hold. */
export interface PolicyInForce {
  readonly policy: Policy;
  readonly tokens: ReadonlyMap<string, TokenEntry>;
  /** The keys of signed tokens; undefined when signed tokens are not taken. */
  readonly keys: KeySet | undefined;
}

/** The option that names the file, in messages. */
const FILE = "policyFile";

/** Keeps a policy up to date. */
export class PolicyKeeper {
  readonly #file: string;
  readonly #log: Logger;
  readonly #watch: WatchedFiles;
  readonly #outages = new RepeatedLines();
  #now: PolicyInForce | undefined;
  /** A key set that is fetched stays while its URL does: it has a cache. */
  #remote: { readonly url: string; readonly keys: KeySet } | undefined;

  /** @param intervalMs how often the files are looked at; default 1,000 */
  constructor(file: string, log: Logger, intervalMs?: number) {
    this.#file = resolve(file);
    this.#log = log;
    this.#watch = new WatchedFiles(() => this.#reload(), intervalMs);
  }

  /** The policy in force. @throws Error before start() */
  get now(): PolicyInForce {
    if (this.#now === undefined) throw new Error("the policy was not read yet");
    return this.#now;
  }

  /** Reads the files. @throws PoolError `invalid_argument` that lists every mistake */
  start(): void {
    this.#now = this.#read();
    this.#warnOfLoose();
    this.#watch.start();
  }

  stop(): void {
    this.#watch.stop();
  }

  #reload(): void {
    try {
      this.#now = this.#read();
      this.#warnOfLoose();
      this.#log.info({ file: this.#file }, "policy read again");
    } catch (error) {
      this.#log.error({ error: (error as Error).message }, "the policy is wrong; the one before it stays in force");
    }
  }

  #warnOfLoose(): void {
    warnOfLoose(this.#watch.paths, "rules", this.#log);
  }

  #read(): PolicyInForce {
    return this.#watch.readAll((read) => {
      const policy = parsePolicy(textOf(this.#file, FILE, read), FILE);
      const tokens = policy.tokens === undefined ? new Map() : this.#readTokens(policy.tokens, read);
      return { policy, tokens, keys: policy.jwt === undefined ? undefined : this.#readKeys(policy.jwt, read) };
    });
  }

  #readTokens(path: string, read: ReadFile): ReadonlyMap<string, TokenEntry> {
    const field = `${FILE} tokens`;
    const mistakes = new Mistakes();
    const records = readTokenRecords(textOf(this.#beside(path), field, read), mistakes);
    mistakes.throwIfAny(field);
    return tokensByHash(records);
  }

  #readKeys({ jwks }: JwtRules, read: ReadFile): KeySet {
    const field = `${FILE} jwt.jwks`;
    if (!isUrl(jwks)) return keysOfText(textOf(this.#beside(jwks), field, read), field);
    if (this.#remote?.url !== jwks) {
      this.#remote = { url: jwks, keys: keysOfUrl(jwks, (why) => this.#warnOfOutage(new URL(jwks).host, why)) };
    }
    return this.#remote.keys;
  }

  /** Anybody can cause it, by a token. */
  #warnOfOutage(host: string, error: string): void {
    const times = this.#outages.happened(host, performance.now());
    if (times > 0) this.#log.warn({ host, error, times }, "the keys of signed tokens (jwt.jwks) cannot be fetched");
  }

  /** A path that the policy file names is meant from its own folder. */
  #beside(path: string): string {
    return resolve(dirname(this.#file), path);
  }
}

/** @throws PoolError that names the field and the file */
function textOf(path: string, field: string, read: ReadFile): string {
  try {
    return read(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "error";
    throw new PoolError("invalid_argument", `${field}: cannot read ${path} (${code})`, { field: FILE, cause: error });
  }
}
