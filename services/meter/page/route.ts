/**
 * What the address names, behind the "#". Pure.
 *
 *   #/                      all pools
 *   #/pool/P                one pool
 *   #/pool/P/worker/W       one worker
 *   #/pool/P/job/J          one job that has ended
 *   #/durable, #/durable/P  the durable lane, and the dead letters of one pool
 *   #P                      one pool, as addresses were written first
 */

/** What is shown. */
export interface Route {
  readonly view: "pool" | "worker" | "job" | "durable";
  /** "" for all pools. */
  readonly pool: string;
  /** "" unless a worker is shown. */
  readonly worker: string;
  /** "" unless a job is shown. */
  readonly job: string;
}

/** The route of an address; one that names nothing leads to all pools. */
export function routeOf(hash: string): Route {
  const text = hash.replace(/^#/, "");
  if (!text.startsWith("/")) return route("pool", decoded(text));
  const [first = "", pool = "", third = "", name = ""] = text.slice(1).split("/").map(decoded);
  if (first === "durable") return route("durable", pool);
  if (first !== "pool") return route("pool", "");
  if (pool === "" || name === "" || (third !== "worker" && third !== "job")) return route("pool", pool);
  return { view: third, pool, worker: third === "worker" ? name : "", job: third === "job" ? name : "" };
}

/** The address of all pools, or of one. */
export function poolHash(pool: string): string {
  return pool === "" ? "#/" : `#/pool/${encodeURIComponent(pool)}`;
}

/** The address of a worker. */
export function workerHash(pool: string, worker: string): string {
  return `${poolHash(pool)}/worker/${encodeURIComponent(worker)}`;
}

/** The address of a job. */
export function jobHash(pool: string, job: string): string {
  return `${poolHash(pool)}/job/${encodeURIComponent(job)}`;
}

/** The address of the durable lane of all pools, or of one. */
export function durableHash(pool = ""): string {
  return pool === "" ? "#/durable" : `#/durable/${encodeURIComponent(pool)}`;
}

function route(view: Route["view"], pool: string): Route {
  return { view, pool, worker: "", job: "" };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
