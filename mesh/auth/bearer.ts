/**
 * Bearer tokens as they come: they are checked, and wrong ones make their source wait.
 *
 * A token that was right lately is always looked at: a flood of wrong ones from the same
 * address does not shut its bearer out.
 */
import { PoolError } from "../errors.js";
import type { HttpRequest } from "../http/rpc/exchange.js";
import type { Audit } from "./audit.js";
import { Caller } from "./caller.js";
import { Guesses } from "./guesses.js";
import type { Identity } from "./identity.js";
import { hashToken } from "./policy/tokens.js";
import { unauthenticated } from "./refusals.js";

const BEARER = /^Bearer ([\x21-\x7e]{1,8192})$/i;
const MAX_KNOWN = 10_000;

/** The token that a request bears; undefined when it bears none. */
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
    if (waitMs > 0) throw unauthenticated("too many wrong tokens from this address: wait", waitMs);
    const wrong = (error: unknown): never => this.#wrong(error, sha256, from);
    try {
      const caller = this.#identity.ofToken(token);
      return caller instanceof Caller
        ? this.#right(caller, sha256, from)
        : caller.then((known) => this.#right(known, sha256, from), wrong);
    } catch (error) {
      return wrong(error);
    }
  }

  #right(caller: Caller, sha256: string, from: string): Caller {
    this.#guesses.right(from);
    this.#known.add(sha256);
    if (this.#known.size > MAX_KNOWN) this.#known.delete(this.#known.keys().next().value as string);
    return caller;
  }

  #wrong(error: unknown, sha256: string, from: string): never {
    this.#known.delete(sha256);
    // When the keys cannot be fetched, nothing is known of the token.
    if (error instanceof PoolError && !error.retryable) {
      this.#audit.wrongToken(from, this.#guesses.wrong(from, performance.now()));
    }
    throw error;
  }
}
