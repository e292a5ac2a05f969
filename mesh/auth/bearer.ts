/**
 * Bearer tokens as they come: they are checked, and wrong ones make their source wait.
 *
 * A token that was right lately is always looked at: a flood of wrong ones from the same
 * address does not shut its bearer out. A right token does not end the wait of the others:
 * else who has one could guess as fast as it likes.
 */
import { PoolError } from "../errors.js";
import type { HttpRequest } from "../http/rpc/exchange.js";
import type { Audit } from "./audit.js";
import { Caller } from "./caller.js";
import { Guesses } from "./guesses.js";
import type { Identity } from "./identity.js";
import { hashToken } from "./policy/tokens.js";
import { unauthenticated, wrongToken } from "./refusals.js";

const BEARER = /^Bearer +(\S.*)$/i;
const TOKEN = /^[\x21-\x7e]+$/;
const MAX_LENGTH = 8_192;
const MAX_KNOWN = 10_000;

/** What a request bears as a token, whatever it is; undefined when it bears none. */
export function bearerOf(req: HttpRequest): string | undefined {
  return BEARER.exec(req.headers.authorization ?? "")?.[1];
}

/** Checks tokens. */
export class Bearers {
  readonly #identity: Identity;
  readonly #audit: Audit;
  readonly #guesses = new Guesses();
  /** Hashes of tokens that were right lately. */
  readonly #known = new Set<string>();

  constructor(identity: Identity, audit: Audit) {
    this.#identity = identity;
    this.#audit = audit;
  }

  /** Whose token it is. @throws PoolError `unauthenticated`; rejects with the same */
  callerOf(token: string, from: string): Caller | Promise<Caller> {
    const sha256 = hashToken(token);
    const waitMs = this.#known.has(sha256) ? 0 : this.#guesses.waitMs(from, performance.now());
    if (waitMs > 0) {
      const seconds = Math.ceil(waitMs / 1_000);
      throw unauthenticated(`too many wrong tokens from this address: try again in ${seconds} s`, waitMs);
    }
    const wrong = (error: unknown): never => this.#wrong(error, sha256, from);
    try {
      requireShape(token);
      const caller = this.#identity.ofToken(token);
      return caller instanceof Caller
        ? this.#right(caller, sha256)
        : caller.then((known) => this.#right(known, sha256), wrong);
    } catch (error) {
      return wrong(error);
    }
  }

  #right(caller: Caller, sha256: string): Caller {
    this.#known.add(sha256);
    if (this.#known.size > MAX_KNOWN) this.#known.delete(this.#known.keys().next().value as string);
    return caller;
  }

  #wrong(error: unknown, sha256: string, from: string): never {
    this.#known.delete(sha256);
    // When the keys cannot be fetched, nothing is known of the token.
    if (error instanceof PoolError && !error.retryable) {
      this.#audit.wrongToken(from, this.#guesses.wrong(from, performance.now(), sha256));
    }
    throw error;
  }
}

/** @throws PoolError `unauthenticated`: no token looks like that */
function requireShape(token: string): void {
  if (token.length > MAX_LENGTH)
    throw wrongToken(`the token is longer than ${MAX_LENGTH.toLocaleString("en")} characters`);
  if (!TOKEN.test(token)) throw wrongToken("a token has printable ASCII characters only, and no space");
}
