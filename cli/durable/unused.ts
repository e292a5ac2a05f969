/** What a command line says and its action does not use: refused, since it would be left out in silence. */
import { PoolError } from "../../mesh/errors.js";

/**
 * Refuses what is there.
 *
 * @param action such as "list"
 * @param given arguments by their names and options by their flags; undefined for one that is not there
 * @throws PoolError `invalid_argument` naming the first of them
 */
export function refuseUnused(action: string, given: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === false) continue;
    throw new PoolError("invalid_argument", `${name}: ${action} does not use it; leave it out`, { field: name });
  }
}
