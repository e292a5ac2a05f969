/** How a scenario says that its sentence does not hold, or could not be checked. */

/** The worker does not do what the sentence says. The message says what it did. */
export class Failed extends Error {}

/** The sentence could not be checked here. The message says why, and what would help. */
export class NotTried extends Error {}

/** @throws Failed unless `holds` @param found what was seen instead */
export function expect(holds: boolean, found: string): asserts holds {
  if (!holds) throw new Failed(found);
}
