/** I4, I5 and I11: what is shown of the pool. Pure. */
import { differences, groupBy, pick } from "./pick.js";
import type { Rule } from "./rule.js";

/** What the promise adds to three heartbeat intervals, in milliseconds: coalescing, a look, a busy machine. */
export const METER_SLACK_MS = 1_000;

/** At rest nothing is busy, parked, in flight or waited for. */
const atRest: Rule = {
  invariant: "I4",
  looksAt: ["rest"],
  check: (events) =>
    pick(events, "rest").flatMap(({ seen, wanted }) => differences(seen, wanted).map((each) => `at rest: ${each}`)),
};

/** The meter shows the truth within three heartbeat intervals of the last change. */
const meterIsTrue: Rule = {
  invariant: "I5",
  looksAt: ["meter"],
  check: (events) =>
    pick(events, "meter").flatMap(({ seen, wanted, afterMs, intervalMs }) => {
      const wrong = differences(seen, wanted);
      if (wrong.length > 0) return [`the meter shows ${wrong.join(", ")}`];
      const limitMs = 3 * intervalMs + METER_SLACK_MS;
      return afterMs > limitMs ? [`the meter was wrong for ${Math.round(afterMs)} ms, more than ${limitMs}`] : [];
    }),
};

/** A stream begins with a snapshot, its versions rise, and it ends on the truth. */
const streamsAreTrue: Rule = {
  invariant: "I11",
  looksAt: ["stream", "truth"],
  check: (events) => {
    const found: string[] = [];
    const truths = new Map(pick(events, "truth").map((truth) => [truth.stream, truth]));
    const streams = groupBy(pick(events, "stream"), (event) => event.stream);
    for (const [stream, messages] of streams) {
      if (messages[0]?.snapshot !== true) found.push(`${stream} did not begin with a snapshot`);
      for (const [i, message] of messages.entries()) {
        const before = messages[i - 1];
        if (before === undefined) continue;
        if (message.version <= before.version)
          found.push(`${stream}: version ${message.version} after ${before.version}`);
      }
      const truth = truths.get(stream);
      const last = messages.at(-1);
      if (truth === undefined || last === undefined) continue;
      const wrong = differences({ slots: last.slots, busy: last.busy }, { slots: truth.slots, busy: truth.busy });
      if (wrong.length > 0) found.push(`${stream} ended on ${wrong.join(", ")}`);
    }
    for (const stream of truths.keys()) if (!streams.has(stream)) found.push(`${stream} never said anything`);
    return found;
  },
};

/** All of them. */
export const capacityRules: readonly Rule[] = [atRest, meterIsTrue, streamsAreTrue];
