/** I1, I8 and I12: what callers hear. Pure. */

import { isReason, MAX_MESSAGE_LENGTH } from "../../../mesh/errors.js";
import { ATTEMPTS_PER_MANAGER, attemptCount } from "../../../mesh/job/job.js";
import { mayComeAfter } from "../../support/core/attempt-numbers.js";
import type { Recorded } from "../history.js";
import { groupBy, pick } from "./pick.js";
import type { Rule } from "./rule.js";

/** How late an outcome may be, in milliseconds after the deadline. */
export const LATE_LIMIT_MS = 1_000;

/** Every submitted id has exactly one outcome, in time, and no id that was not submitted has one. */
const oneOutcome: Rule = {
  invariant: "I1",
  looksAt: ["submit", "outcome"],
  check: (events) => {
    const outcomes = groupBy(pick(events, "outcome"), (event) => event.id);
    const submits = groupBy(pick(events, "submit"), (event) => event.id);
    const found: string[] = [];
    for (const [id, group] of submits) {
      const heard = outcomes.get(id) ?? [];
      // Callers that submit one id together each hear its outcome.
      if (heard.length < group.length) found.push(`${id} is lost: ${heard.length} of ${group.length} outcomes`);
      if (heard.length > group.length) found.push(`${id} has ${heard.length} outcomes for ${group.length} callers`);
      const deadline = Math.max(...group.map((submit) => submit.at + submit.timeoutMs));
      const last = heard.at(-1);
      if (last !== undefined && last.at > deadline + LATE_LIMIT_MS) {
        found.push(`${id} ended ${Math.round(last.at - deadline)} ms after its deadline`);
      }
    }
    for (const id of outcomes.keys()) if (!submits.has(id)) found.push(`${id} has an outcome but was never submitted`);
    return found;
  },
};

/** Every error is in the catalogue, in words that may leave the house. */
const knownErrors: Rule = {
  invariant: "I8",
  looksAt: ["outcome"],
  check: (events) =>
    pick(events, "outcome").flatMap((outcome) => {
      if (outcome.ok) return [];
      const message = outcome.message ?? "";
      if (!isReason(outcome.reason ?? ""))
        return [`${outcome.id}: ${outcome.reason ?? "no reason"} is not in the catalogue`];
      if (outcome.reason === "internal") return [`${outcome.id}: internal, ${message}`];
      return leaks(message).map((leak) => `${outcome.id}: its message ${leak}: ${JSON.stringify(message)}`);
    }),
};

function leaks(message: string): string[] {
  const found: string[] = [];
  if (message === "") found.push("is empty");
  if (message.length > MAX_MESSAGE_LENGTH) found.push("is too long");
  if (/\n|^\s*at .+:\d+:\d+/.test(message)) found.push("has a stack");
  if (/(^|[\s("'])(\/|file:\/\/)[\w.-]+\/[\w./-]+/.test(message)) found.push("has a path");
  if (/:\/\/[^/\s]*:[^/\s]*@|password=|hunter2/.test(message)) found.push("has a secret");
  return found;
}

/**
 * The outcome is of the attempt that it says, that attempt ran, and nobody had revoked it before it ended. Or it is of an
 * earlier one, and the later one did not run: the worker that began the job answers for it. An outcome tells a count, so attempt 1,001 is
 * told as 2.
 */
const noStaleResult: Rule = {
  invariant: "I12",
  looksAt: ["outcome"],
  check: (events) => {
    const started = new Set(pick(events, "start").map(({ id, attempt, pid }) => `${id} ${attempt} ${pid}`));
    const numbers = groupBy(pick(events, "start"), (event) => event.id);
    const begun = new Set(pick(events, "start").map(({ id, attempt }) => `${id} ${attemptCount(attempt)}`));
    const revoked = groupBy(pick(events, "revoked"), (event) => event.id);
    const ended = new Map(pick(events, "end").map((end) => [`${end.id} ${end.attempt} ${end.pid}`, end.at]));
    return pick(events, "outcome").flatMap((outcome) => {
      if (!outcome.ok || outcome.ran === undefined) return [];
      const { id, ran, at } = outcome;
      const { attempt } = ran;
      const [made, said] = [attemptCount(attempt), outcome.attempt];
      if (ran.id !== id) return [`${id} got the result of ${ran.id}`];
      const isEarlier = mayComeAfter(said, attempt) && !begun.has(`${id} ${said}`);
      if (isEarlier && made !== said && started.has(`${id} ${attempt} ${ran.pid}`)) return [];
      if (made !== said) return [`${id} got the result of attempt ${made} as that of ${said}`];
      if (!started.has(`${id} ${attempt} ${ran.pid}`)) return [`${id} has a result of an attempt that never ran`];
      // What had ended before is kept, and is the answer when its caller submits the job once more.
      const overAt = Math.min(at, ended.get(`${id} ${attempt} ${ran.pid}`) ?? at);
      // A caller that gave its manager up has revoked all of that one's attempts, and the next manager is answered with the only run there is.
      const isOnly = attempt > 1 && Math.max(...(numbers.get(id) ?? []).map((start) => start.attempt)) === attempt;
      const counts = (upTo: number): boolean => upTo >= attempt && !(isOnly && upTo % ATTEMPTS_PER_MANAGER === 0);
      const stale = (revoked.get(id) ?? []).some((each) => counts(each.attempt) && each.at < overAt);
      return stale ? [`${id} ended with attempt ${attempt}, which was revoked`] : [];
    });
  },
};

/** All of them. */
export const outcomeRules: readonly Rule[] = [oneOutcome, knownErrors, noStaleResult];

/** The events that a total-queue report counts: see {@link totalQueue}. */
export interface TotalQueue {
  readonly submitted: number;
  readonly ok: number;
  readonly failed: number;
  /** Submitted, and no outcome. */
  readonly lost: number;
  /** An outcome that nobody submitted, or a second one. */
  readonly unexpected: number;
  /** Executions beyond the first of an id. */
  readonly duplicated: number;
  /** Ended well although an earlier execution of the id was cut short. */
  readonly recovered: number;
}

/** Counts what became of all jobs. */
export function totalQueue(events: readonly Recorded[]): TotalQueue {
  const submitted = new Set(pick(events, "submit").map((event) => event.id));
  const outcomes = pick(events, "outcome");
  const heard = new Set(outcomes.map((event) => event.id));
  const starts = groupBy(pick(events, "start"), (event) => event.id);
  const ok = outcomes.filter((event) => event.ok);
  return {
    submitted: submitted.size,
    ok: ok.length,
    failed: outcomes.length - ok.length,
    lost: [...submitted].filter((id) => !heard.has(id)).length,
    unexpected: outcomes.length - [...heard].filter((id) => submitted.has(id)).length,
    duplicated: [...starts.values()].reduce((sum, group) => sum + group.length - 1, 0),
    recovered: ok.filter((event) => (starts.get(event.id)?.length ?? 0) > 1).length,
  };
}
