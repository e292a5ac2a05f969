/** I2: what was acknowledged is not lost. I13: what is limited stays within its limit. Pure. */
import { groupBy, pick } from "./pick.js";
import type { Rule } from "./rule.js";

/** Every stored job ends with one outcome; one that may run once has not run twice. */
const storedJobsEnd: Rule = {
  invariant: "I2",
  looksAt: ["enqueued"],
  check: (events) => {
    const stored = new Map(pick(events, "stored").map((event) => [event.id, event]));
    const starts = groupBy(pick(events, "start"), (event) => event.id);
    return pick(events, "enqueued").flatMap(({ id, idempotent }) => {
      const found: string[] = [];
      const { as = "nothing", outcomes = 0 } = stored.get(id) ?? {};
      const runs = starts.get(id)?.length ?? 0;
      if (as === "nothing") found.push(`${id} was acknowledged, and is lost`);
      if (as === "live") found.push(`${id} is still live at rest`);
      if (outcomes > 1) found.push(`${id} has ${outcomes} stored outcomes`);
      if (as === "result" && runs === 0) found.push(`${id} has a result, and never ran`);
      if (!idempotent && runs > 1) found.push(`${id} may run once, and ran ${runs} times`);
      return found;
    });
  },
};

/**
 * Never more stored jobs of a key run at once than its limit. Counted by runs at workers. One job counts
 * once; a run of a job that has ended elsewhere, at a worker that was given up, does not count.
 */
const limitsHold: Rule = {
  invariant: "I13",
  looksAt: ["limit"],
  check: (events) => {
    const limits = new Map(pick(events, "limit").map(({ key, running }) => [key, running]));
    const keys = new Map(pick(events, "enqueued").map(({ id, key }) => [id, key]));
    const running = new Map<string, string>();
    const found: string[] = [];
    for (const event of events) {
      if (event.kind === "told") forget(running, (_, id) => id === event.id);
      else if (event.kind === "worker") forget(running, (run) => run.startsWith(`${event.worker} `));
      if (event.kind !== "start" && event.kind !== "end") continue;
      const key = keys.get(event.id);
      const limit = limits.get(key ?? "");
      if (limit === undefined) continue;
      const run = `${event.worker} ${event.id} ${event.attempt}`;
      if (event.kind === "end") running.delete(run);
      else running.set(run, event.id);
      const now = new Set([...running.values()].filter((id) => keys.get(id) === key));
      if (now.size > limit) found.push(`${now.size} jobs of key ${key} ran at once, ${limit} may`);
    }
    return [...new Set(found)];
  },
};

function forget(running: Map<string, string>, isGone: (run: string, id: string) => boolean): void {
  for (const [run, id] of running) if (isGone(run, id)) running.delete(run);
}

/** All of them. */
export const durableRules: readonly Rule[] = [storedJobsEnd, limitsHold];
