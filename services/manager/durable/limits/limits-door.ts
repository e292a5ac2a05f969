/**
 * What is asked at `pool.P.limits`: `list`, `{"set": {"target": "each-key", "running": 3}}` or
 * `{"remove": "each-key"}`. The answer is the limits that there are now, as JSON.
 */
import { checkLimit, type Limit } from "../../../../mesh/durable/limits/limit.js";
import { PoolError } from "../../../../mesh/errors.js";
import { json, parseJson } from "../../../../mesh/job/codec.js";

/** The limits of pools. Each rejects with a PoolError. */
export interface LimitsDoorParts {
  set(pool: string, limit: Limit): Promise<void>;
  remove(pool: string, target: string): Promise<void>;
  list(pool: string): Promise<Limit[]>;
}

/** @throws PoolError */
export async function answerLimits(limits: LimitsDoorParts, pool: string, asked: string): Promise<Uint8Array> {
  const text = asked.trim();
  if (text !== "" && text !== "list") {
    const { set, remove } = read(text);
    if ((set === undefined) === (remove === undefined)) throw refused();
    if (set !== undefined) await limits.set(pool, checkLimit(set));
    else if (typeof remove === "string") await limits.remove(pool, remove);
    else throw refused();
  }
  return json.encode(await limits.list(pool));
}

function read(text: string): { readonly set?: Limit; readonly remove?: unknown } {
  try {
    const said = parseJson(text) as { set?: unknown } | null;
    if (typeof said === "object" && said !== null && typeof (said.set ?? {}) === "object")
      return said as { set?: Limit };
  } catch {
    // told below
  }
  throw refused();
}

function refused(): PoolError {
  const message = 'limits: use "list", {"set": {"target": "each-key", "running": 3}} or {"remove": "each-key"}';
  return new PoolError("invalid_argument", message, { field: "limits" });
}
