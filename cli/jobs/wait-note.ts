/** Says once, while jobs wait for a pool that nobody serves yet, what they wait for. */
import { PoolError } from "../../mesh/errors.js";
import { poolsOf, rollCall } from "../control/roll-call.js";
import { unknownPool } from "../control/unknown-pool.js";
import type { Link } from "../link.js";
import type { RemoteFlags } from "../remote/remote-options.js";
import type { Shell } from "../shell.js";
import type { Scout } from "./pool-scout.js";

/** How long nothing may happen before anybody asks, in milliseconds. */
const PATIENCE_MS = 600;

/** Finds out whether nobody serves a pool; undefined when somebody does, or when it cannot be told. */
export type Doubt = () => Promise<PoolError | undefined>;

/** By a roll call of workers. */
export function doubtOf(link: Link, pool: string): Doubt {
  return async () => {
    if ((await rollCall(link, pool)).length > 0) return undefined;
    return unknownPool(pool, poolsOf(await rollCall(link)));
  };
}

/** By the manager at `url`. */
export function remoteDoubtOf(url: string, flags: RemoteFlags, pool: string): Doubt {
  return async () => {
    const { listRemote } = await import("../remote/remote-calls.js");
    return listRemote(url, flags, pool).then(() => undefined, unlessUnknown);
  };
}

function unlessUnknown(error: unknown): PoolError | undefined {
  return error instanceof PoolError && error.reason === "unknown_pool" ? error : undefined;
}

/**
 * What a command throws for a job that is not there: that its pool is not there, when that is so.
 *
 * @param error what the command heard
 */
export async function poolOrJob(error: unknown, doubt: Doubt): Promise<unknown> {
  const isMissing = error instanceof PoolError && error.reason === "not_found" && error.field === "job";
  return (isMissing ? await doubt().catch(() => undefined) : undefined) ?? error;
}

/** A line on stderr, once. */
export class WaitNote implements Scout {
  readonly #shell: Shell;
  readonly #doubt: Doubt;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(shell: Shell, doubt: Doubt) {
    this.#shell = shell;
    this.#doubt = doubt;
  }

  begin(): void {
    if (this.#stopped || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => void this.#ask().catch(() => undefined), PATIENCE_MS);
    this.#timer.unref();
  }

  /** What waits for a pool is not told that there is none. */
  async confirm(): Promise<void> {}

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #ask(): Promise<void> {
    const error = await this.#doubt();
    if (error === undefined || this.#stopped) return;
    await this.#shell.stderr.line(`poolmesh: waiting for a worker until the deadline: ${error.message}`);
  }
}
