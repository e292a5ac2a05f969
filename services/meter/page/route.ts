/**
 * What the address names, behind the "#". Pure.
 *
 *   #/                      all pools
 *   #/pool/P                one pool
 *   #/pool/P/worker/W       one worker
 *   #/durable, #/durable/P  the durable lane, and the dead letters of one pool
 *   #P                      one pool, as addresses were written first
 */

/** What is shown. */
export interface Route {
  readonly view: "pool" | "worker" | "durable";
  /** "" for all pools. */
  readonly pool: string;
  /** "" unless a worker is shown. */
  readonly worker: string;
}

/** The route of an address; one that names nothing leads to all pools. */
export function routeOf(hash: string): Route {
  const text = hash.replace(/^#/, "");
  if (!text.startsWith("/")) return route("pool", decoded(text));
  const [first = "", pool = "", third = "", worker = ""] = text.slice(1).split("/").map(decoded);
  if (first === "durable") return route("durable", pool);
  if (first !== "pool") return route("pool", "");
  return third === "worker" && pool !== "" && worker !== "" ? { view: "worker", pool, worker } : route("pool", pool);
}

/** The address of all pools, or of one. */
export function poolHash(pool: string): string {
  return pool === "" ? "#/" : `#/pool/${encodeURIComponent(pool)}`;
}

/** The address of a worker. */
export function workerHash(pool: string, worker: string): string {
  return `${poolHash(pool)}/worker/${encodeURIComponent(worker)}`;
}

/** The address of the durable lane of all pools, or of one. */
export function durableHash(pool = ""): string {
  return pool === "" ? "#/durable" : `#/durable/${encodeURIComponent(pool)}`;
}

function route(view: Route["view"], pool: string): Route {
  return { view, pool, worker: "" };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
