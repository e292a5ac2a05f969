/**
 * The lines that tell who was let in to do what, and who was refused.
 *
 * Each has `audit` ("allowed" or "refused"), `who`, `what`, `pool` and `from`. A token
 * is in none of them. Views and submits that are allowed have no line: there are too many.
 */
import type { PoolError } from "../errors.js";
import type { Logger } from "../process/log.js";

/** One thing that somebody wanted to do. */
export interface Deed {
  /** The caller's name, or "nobody". */
  readonly who: string;
  /** The path of the RPC or route. */
  readonly what: string;
  /** "" for all pools, or when the request was not read. */
  readonly pool: string;
  /** The worker or job, when the request names one. */
  readonly target?: string;
  /** The caller's address. */
  readonly from: string;
}

/** Writes them. */
export class Audit {
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  allowed(deed: Deed): void {
    this.#log.info({ audit: "allowed", ...deed }, "audit");
  }

  refused(deed: Deed, error: PoolError): void {
    this.#log.warn({ audit: "refused", ...deed, reason: error.reason }, "audit");
  }

  /** Somebody has shown a token that is wrong or has expired. @param wrong how many in a row from there */
  wrongToken(from: string, wrong: number): void {
    this.#log.warn({ source: from, wrong }, "a request with a wrong token");
  }
}
