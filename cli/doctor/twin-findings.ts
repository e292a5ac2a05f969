/** Live processes that share an id. Pure. */
import { plural } from "../../browser/format.js";
import type { Finding } from "./finding.js";
import type { SeenVersion } from "./version-findings.js";

/** A part of a mesh, as the NATS service API tells it. */
export interface SeenPart extends SeenVersion {
  readonly id: string;
  /** The pool of a worker: ids of workers are their pool's. */
  readonly pool: string | undefined;
}

/** Most ids that a line names. */
const NAMED = 5;

/** One for each kind of part whose processes share ids. */
export function twinFindings(seen: readonly SeenPart[]): Finding[] {
  return (["manager", "meter", "worker"] as const).flatMap((part) => {
    const counts = new Map<string, number>();
    for (const { id, pool, ...each } of seen) {
      if (each.part !== part) continue;
      const name = JSON.stringify(id) + (pool === undefined ? "" : ` of ${JSON.stringify(pool)}`);
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    const twins = [...counts].filter(([, count]) => count > 1);
    if (twins.length === 0) return [];
    const named = twins.slice(0, NAMED).map(([name, count]) => `${plural(count, part)} with the id ${name}`);
    const more = twins.length > NAMED ? `, and ${twins.length - NAMED} more` : "";
    const advice = "give each its own --id: two with one id answer for each other";
    return [{ state: "bad", what: `${part}s`, found: named.join(", ") + more, advice } as const];
  });
}
