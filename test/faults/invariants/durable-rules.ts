/** I2: what was acknowledged is not lost. Pure. */
import type { Rule } from "../invariants.js";
import { groupBy, pick } from "./pick.js";

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

/** All of them. */
export const durableRules: readonly Rule[] = [storedJobsEnd];
