/** Why the meter does not take a token, for a person. Pure. */
import type { PoolError } from "../../../../browser.js";

/** One sentence; undefined for an error that is not about the token. */
export function refusalText({ reason, message, retryAfterMs }: PoolError): string | undefined {
  const why = message.replace(/^authorization: /, "");
  if (reason === "permission_denied") return `This token does not do: ${why}.`;
  if (reason !== "unauthenticated") return undefined;
  return retryAfterMs === undefined
    ? `The meter does not accept this token: ${why}.`
    : `The meter does not look at this token now: ${why}.`;
}
