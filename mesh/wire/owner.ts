/**
 * Which manager owns an id that a caller chose, and what it says to who sends it a submission. Pure.
 *
 * Rendezvous hashing: every manager that knows of the same managers finds the same
 * owner, and when one comes or goes, only the ids that it owns change their owner.
 */
import { decodeReplyHeaders } from "./headers.js";
import { headersOf, type Reply } from "./wire-headers.js";

/**
 * The manager with the highest score for this job; of equal ones the first in the
 * order of their names. Undefined when there is none.
 *
 * A score is the 32-bit FNV-1a hash of `MANAGER POOL ID` in ASCII, multiplied and
 * mixed so that all bits depend on all characters (docs/protocol.md).
 */
export function ownerOf(managers: Iterable<string>, pool: string, id: string): string | undefined {
  let owner: string | undefined;
  let best = -1;
  for (const manager of managers) {
    const score = hashOf(`${manager} ${pool} ${id}`);
    if (score < best || (score === best && owner !== undefined && manager > owner)) continue;
    owner = manager;
    best = score;
  }
  return owner;
}

/** A number of 32 bits that spreads texts in ASCII. */
export function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i += 1) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** "taken": it has it. "refused": it does not take it. "other": this is no manager's word. */
export type OwnerWord = "taken" | "refused" | "other";

/**
 * What a manager says to who sends it a submission with `Pool-Reply-To`: that it has it, by a message without text, or
 * that it does not take it, by an error. All else it says to where the sender of the submission waits.
 */
export function ownerWord(msg: Reply): OwnerWord {
  if (msg.data.length === 0) return "taken";
  try {
    return decodeReplyHeaders(headersOf(msg)).kind === "error" ? "refused" : "other";
  } catch {
    return "other";
  }
}
