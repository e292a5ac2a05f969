/**
 * What Client, Manager, Worker and DurableLane are all told: which pool, and how to reach the broker.
 *
 * Decided here: the common shape, and how the older shapes become it.
 */
import { PoolError } from "../errors.js";
import type { PoolDefinition } from "../job/pool-definition.js";
import { deprecated } from "../process/deprecation.js";
import type { Bus, BusOptions } from "./bus.js";

/** Which pool a part belongs to. */
export interface PoolOption {
  /** A name, or the definition of a typed pool. */
  pool: string | PoolDefinition;
}

/** The options that every part of a pool takes, besides its pool. */
export interface PartOptions extends BusOptions {
  /**
   * A connection to share, as `Bus.connect()` makes it; who made it closes it. Default: one of its own, made of
   * `servers` and the other options of a connection.
   */
  connection?: Bus;
  /** First token of every subject; default "pool". */
  prefix?: string;
}

/** Which of the options make a connection. */
const CONNECTING = ["servers", "user", "password", "token", "credsFile", "nkeyFile"] as const;

/**
 * Options in the common shape, whichever shape they came in.
 *
 * @param call such as "Client.connect", for a warning
 * @param first the options, or the pool in the older shape
 * @param rest the options of the older shape
 * @throws PoolError `invalid_argument`, field "pool" or "connection"
 */
export function toPartOptions<O extends PartOptions & { bus?: Bus }>(
  call: string,
  first: (O & PoolOption) | string,
  rest: O | undefined,
): O & PoolOption {
  if (typeof first === "string") {
    deprecated("POOLMESH_DEP0001", `${call}(pool, options) is deprecated: say ${call}({ pool, ...options })`);
  } else if (typeof first !== "object" || first === null || !("pool" in first)) {
    throw new PoolError("invalid_argument", `pool: say ${call}({ pool })`, { field: "pool" });
  }
  const options = typeof first === "string" ? { ...(rest as O), pool: first } : { ...first };
  if (options.bus !== undefined) {
    deprecated("POOLMESH_DEP0002", `the option bus of ${call} is deprecated: say connection`);
    options.connection ??= options.bus;
    delete options.bus;
  }
  return checkConnection(options);
}

/**
 * A shared connection is there already: options that say how to make one would be ignored.
 *
 * @throws PoolError `invalid_argument`, field "connection"
 */
export function checkConnection<O extends Partial<PartOptions>>(options: O): O {
  if (options.connection === undefined) return options;
  const ignored = CONNECTING.find((each) => options[each] !== undefined);
  if (ignored === undefined) return options;
  const message = `connection: it is shared, so ${ignored} says nothing: give one of the two`;
  throw new PoolError("invalid_argument", message, { field: "connection" });
}
