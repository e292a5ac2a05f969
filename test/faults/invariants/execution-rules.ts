/** I3 and I6: what handlers did. Pure. */
import { groupBy, pick } from "./pick.js";
import type { Rule } from "./rule.js";

/** One execution per attempt; more than one of a job that is not idempotent only when the earlier was never accepted. */
const atMostOnce: Rule = {
  invariant: "I3",
  looksAt: ["start"],
  check: (events) => {
    const given = [...pick(events, "submit"), ...pick(events, "enqueued")];
    const once = new Set(given.flatMap((event) => (event.idempotent ? [] : [event.id])));
    const accepted = new Set(pick(events, "accepted").map(({ id, attempt }) => `${id} ${attempt}`));
    const renewals = groupBy(
      pick(events, "submit").filter(({ renews }) => renews),
      (event) => event.id,
    );
    const found: string[] = [];
    for (const [id, starts] of groupBy(pick(events, "start"), (event) => event.id)) {
      const attempts = starts.map((start) => start.attempt);
      const renewed = renewals.get(id)?.length ?? 0;
      if (new Set(attempts).size + renewed < attempts.length)
        found.push(`${id} ran twice as one attempt: ${attempts.join(", ")}`);
      if (!once.has(id)) continue;
      const last = Math.max(...attempts);
      for (const attempt of attempts) {
        if (attempt < last && accepted.has(`${id} ${attempt}`)) {
          found.push(`${id} is not idempotent, and ran as attempt ${last} after ${attempt} was accepted`);
        }
      }
    }
    return found;
  },
};

/** At no instant do more handlers run at a worker than it has slots. */
const withinSlots: Rule = {
  invariant: "I6",
  looksAt: ["start"],
  check: (events) => {
    const slots = new Map<string, number>();
    const running = new Map<string, Set<string>>();
    const found: string[] = [];
    for (const event of events) {
      if (event.kind === "worker") {
        running.set(event.worker, new Set());
        slots.set(event.worker, event.slots);
      }
      if (event.kind !== "start" && event.kind !== "end") continue;
      const now = running.get(event.worker) ?? new Set();
      running.set(event.worker, now);
      const key = `${event.id} ${event.attempt}`;
      if (event.kind === "end") now.delete(key);
      else now.add(key);
      const limit = slots.get(event.worker) ?? Number.POSITIVE_INFINITY;
      if (now.size > limit) found.push(`${event.worker} ran ${now.size} handlers in ${limit} slots`);
    }
    return [...new Set(found)];
  },
};

/** All of them. */
export const executionRules: readonly Rule[] = [atMostOnce, withinSlots];
