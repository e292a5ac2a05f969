/**
 * Notices another live process under this manager's own id. The two would answer for each other.
 *
 * Pure. Heartbeats of two live processes come in turn. Those of a process that has ended, and whose last ones were on a
 * slow link, come one after the other.
 */

/** So often the process behind the id changes before it is taken for two. */
const TURNS = 4;

export class TwinWatch {
  #incarnation: bigint | undefined;
  #turns = 0;

  /** A heartbeat under this manager's id. @returns true once, when it is known that two processes have it */
  hears(incarnation: bigint): boolean {
    const isTurn = this.#incarnation !== undefined && this.#incarnation !== incarnation;
    this.#incarnation = incarnation;
    if (!isTurn || this.#turns >= TURNS) return false;
    this.#turns += 1;
    return this.#turns === TURNS;
  }
}
