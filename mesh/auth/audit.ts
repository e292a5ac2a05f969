/**
 * The lines that tell who was let in to do what, and who was refused.
 *
 * Each has `audit`: "allowed" before something is done, "failed" when the call then
 * failed, "refused", "wrong token"; and `who`, `what`, `pool` and `from`. They are written
 * whatever the log level is. Texts that a caller chose are bounded, and a token is in none of
 * them. Views and submits that are allowed have no line: there are too many.
 */
import { ConnectError } from "@connectrpc/connect";
import { type PoolError, toPoolError } from "../errors.js";
import { plainText } from "../plain-text.js";
import { type Logger, unconditional } from "../process/log.js";
import { fromConnectError } from "../wire/connect-errors.js";

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

/** The longest text in a line. A name of the mesh has 63 characters at most. */
const MAX_LENGTH = 128;

/** Writes them. */
export class Audit {
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = unconditional(log);
  }

  allowed(deed: Deed): void {
    this.#log.info({ audit: "allowed", ...bounded(deed) }, "audit");
  }

  /** The call of what was allowed has failed. */
  failed(deed: Deed, error: unknown): void {
    const { reason } = error instanceof ConnectError ? fromConnectError(error) : toPoolError(error);
    this.#log.warn({ audit: "failed", ...bounded(deed), reason }, "audit");
  }

  refused(deed: Deed, error: PoolError): void {
    this.#log.warn({ audit: "refused", ...bounded(deed), reason: error.reason }, "audit");
  }

  /** Somebody has shown a token that is wrong or has expired. @param wrong how many in a row from there */
  wrongToken(from: string, wrong: number): void {
    this.#log.warn({ audit: "wrong token", source: plainText(from), wrong }, "a request with a wrong token");
  }
}

function bounded({ who, what, pool, target = "", from }: Deed): Deed {
  const [name, path, place, source] = [who, what, pool, from].map((text) => plainText(text, MAX_LENGTH));
  const deed = { who: name ?? "", what: path ?? "", pool: place ?? "" };
  return { ...deed, ...(target === "" ? {} : { target: plainText(target, MAX_LENGTH) }), from: source ?? "" };
}
