/** How many stored jobs of a pool wait at managers for their limits: a manager is asked. */
import { decodeHeldBack, HELD_BACK_QUESTION, within } from "../../mesh/durable/limits/held-back.js";
import type { DurableNames } from "../../mesh/durable/names.js";
import { wireHeaders } from "../../mesh/wire/wire-headers.js";
import type { Link } from "../link.js";

const ANSWER_LIMIT_MS = 1_000;

/**
 * Undefined when no manager tells. What is limited is delivered: where nothing is, nobody is asked.
 *
 * @param delivered jobs of the pool that managers have, as its stream tells
 */
export async function limitedJobs(
  { inbox }: Pick<Link, "inbox">,
  names: DurableNames,
  pool: string,
  delivered: number,
): Promise<number | undefined> {
  if (delivered === 0) return 0;
  const payload = Buffer.from(HELD_BACK_QUESTION);
  const answer = await inbox.ask({
    subject: names.lane(pool),
    payload,
    headers: wireHeaders(),
    limitMs: ANSWER_LIMIT_MS,
  });
  if (answer.kind !== "reply") return undefined;
  const heldBack = decodeHeldBack(Buffer.from(answer.msg.data).toString());
  return heldBack && within(heldBack, delivered).limited;
}
