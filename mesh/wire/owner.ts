/**
 * Which manager owns an id that a caller chose. Pure.
 *
 * Rendezvous hashing: every manager that knows of the same managers finds the same
 * owner, and when one comes or goes, only the ids that it owns change their owner.
 */

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
    const score = scoreOf(`${manager} ${pool} ${id}`);
    if (score < best || (score === best && owner !== undefined && manager > owner)) continue;
    owner = manager;
    best = score;
  }
  return owner;
}

function scoreOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i += 1) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
