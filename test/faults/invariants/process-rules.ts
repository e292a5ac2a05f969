/** I7 and I9: what processes hold, and how they end. Pure. */
import { groupBy, pick } from "./pick.js";
import type { Rule } from "./rule.js";

/** How much later than its grace a process may end, in milliseconds. */
export const EXIT_SLACK_MS = 4_000;
/** Memory is not counted to the byte: it may be this much more, in MiB. Everything else is counted. */
export const MEMORY_ALLOWANCE_MIB = 48;

/** What a process holds at rest is what it held before. */
const backToBaseline: Rule = {
  invariant: "I7",
  looksAt: ["resources"],
  check: (events) => {
    const found: string[] = [];
    for (const [name, group] of groupBy(pick(events, "resources"), (event) => event.process)) {
      const baseline = group.find((event) => event.phase === "baseline");
      const rest = group.findLast((event) => event.phase === "rest");
      if (baseline === undefined || rest === undefined) {
        found.push(`${name} was not measured ${baseline === undefined ? "before" : "after"}`);
        continue;
      }
      for (const [what, before] of Object.entries(baseline.held)) {
        const allowed = before + (what === "memoryMib" ? MEMORY_ALLOWANCE_MIB : 0);
        const now = rest.held[what] ?? 0;
        if (now > allowed) found.push(`${name} holds ${now} ${what}, ${before} before`);
      }
    }
    return found;
  },
};

/** A process ends within its grace and a second, with a documented code, and leaves nothing listening. */
const endsInTime: Rule = {
  invariant: "I9",
  looksAt: ["exit"],
  check: (events) =>
    pick(events, "exit").flatMap((exit) => {
      const found: string[] = [];
      const limitMs = exit.graceMs + EXIT_SLACK_MS;
      if (exit.afterMs > limitMs)
        found.push(`${exit.process} took ${Math.round(exit.afterMs)} ms, more than ${limitMs}`);
      if (!exit.allowed.includes(exit.code ?? Number.NaN)) {
        found.push(`${exit.process} ended with ${exit.code ?? "a signal"} instead of ${exit.allowed.join(" or ")}`);
      }
      return [...found, ...exit.listening.map((address) => `${exit.process} left ${address} listening`)];
    }),
};

/** All of them. */
export const processRules: readonly Rule[] = [backToBaseline, endsInTime];
