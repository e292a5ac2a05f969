/** The texts of refusals. Pure. None repeats a token. */
import { PoolError } from "../errors.js";
import { plainText } from "../plain-text.js";
import type { Caller } from "./caller.js";
import type { Right } from "./rights.js";

const VERBS: Record<Right, string> = {
  open: "call",
  view: "view",
  jobs: "see other callers' jobs",
  submit: "submit jobs",
  cancel: "cancel other callers' jobs",
  read: "read outcomes of other callers' jobs",
  control: "control workers",
};
/** How many pools and characters are named at most. */
const MAX_NAMED = 8;
const MAX_NAME_LENGTH = 100;

/** A known caller wants what it may not do. @param pool "" for all pools; undefined: it may not in any */
export function denied(caller: Caller, right: Right, pool: string | undefined): PoolError {
  if (caller.isUnbounded && right === "control") {
    return new PoolError("permission_denied", "no control of workers here: start it with a control token or a policy");
  }
  const where = placeOf(pool);
  const patterns = caller.poolsWith(right);
  const may = patterns.length === 0 ? "" : `; only in: ${patterns.slice(0, MAX_NAMED).join(", ")}`;
  const who = caller.name === "" ? "a caller without a token" : plainText(caller.label, MAX_NAME_LENGTH);
  return new PoolError("permission_denied", `${who} may not ${VERBS[right]} in ${where}${may}`);
}

function placeOf(pool: string | undefined): string {
  if (pool === undefined) return "any pool";
  return pool === "" ? "all pools at once" : `pool ${plainText(pool, MAX_NAME_LENGTH)}`;
}

/** Who it is has to be shown, or is shown wrongly. */
export function unauthenticated(why: string, retryAfterMs?: number): PoolError {
  const more = retryAfterMs === undefined ? {} : { retryAfterMs, retryable: true };
  return new PoolError("unauthenticated", `authorization: ${why}`, { field: "authorization", ...more });
}

/** A token that was right once. */
export function expired(): PoolError {
  return unauthenticated("the token has expired; get a new one");
}

/** A token that is none of those that are taken here. */
export function wrongToken(why = "this token is not known here"): PoolError {
  return unauthenticated(why);
}
