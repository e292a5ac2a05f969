/**
 * A set of named values with versions: what a reader has not yet seen.
 *
 * Pure. A reader holds only the version that it saw last. It gets the newest value of
 * each name that changed since, so a slow reader causes no backlog. Removed names are
 * remembered up to a bound. A reader with an older version gets everything anew.
 */

/** What happened since a version. */
export interface Delta<V> {
  readonly version: bigint;
  /** True when `changed` has all values. */
  readonly snapshot: boolean;
  readonly changed: readonly V[];
  readonly removed: readonly string[];
}

interface Entry<V> {
  readonly value: V;
  readonly version: bigint;
}

/** Removed names, and deltas of one version, that are remembered. */
const MAX_REMOVED = 10_000;
const MAX_DELTAS = 16;

/** The newest value of every name. */
export class Feed<V> {
  readonly #entries = new Map<string, Entry<V>>();
  readonly #removed = new Map<string, bigint>();
  /** Deltas up to the current version, by the version they start from. Readers with the same version share one. */
  readonly #deltas = new Map<bigint, Delta<V>>();
  #version = 1n;
  #dirty = false;
  /** A reader with an older version has missed removals that are forgotten. */
  #oldest = 1n;

  /** The version of the last commit. */
  get version(): bigint {
    return this.#version;
  }

  get(name: string): V | undefined {
    return this.#entries.get(name)?.value;
  }

  *values(): IterableIterator<V> {
    for (const { value } of this.#entries.values()) yield value;
  }

  /** Seen by readers after the next commit. */
  set(name: string, value: V): void {
    this.#removed.delete(name);
    this.#entries.set(name, { value, version: this.#version + 1n });
    this.#dirty = true;
  }

  delete(name: string): void {
    if (!this.#entries.delete(name)) return;
    this.#removed.set(name, this.#version + 1n);
    this.#dirty = true;
    if (this.#removed.size <= MAX_REMOVED) return;
    const [first, version] = this.#removed.entries().next().value as [string, bigint];
    this.#removed.delete(first);
    this.#oldest = version;
  }

  /** Something that is not a named value changed: readers get a delta, perhaps an empty one. */
  touch(): void {
    this.#dirty = true;
  }

  /** Makes the changes visible to readers. Returns whether there were any. */
  commit(): boolean {
    if (!this.#dirty) return false;
    this.#dirty = false;
    this.#version += 1n;
    this.#deltas.clear();
    return true;
  }

  /** What a reader that saw `version` last (0n: nothing) has not seen. */
  since(version: bigint): Delta<V> {
    let delta = this.#deltas.get(version);
    if (delta === undefined) {
      delta = this.#compute(version);
      if (this.#deltas.size < MAX_DELTAS) this.#deltas.set(version, delta);
    }
    return delta;
  }

  #compute(since: bigint): Delta<V> {
    const snapshot = since < this.#oldest;
    const changed: V[] = [];
    for (const { value, version } of this.#entries.values()) {
      if (snapshot || (version > since && version <= this.#version)) changed.push(value);
    }
    const removed: string[] = [];
    if (!snapshot) {
      for (const [name, version] of this.#removed) if (version > since && version <= this.#version) removed.push(name);
    }
    return { version: this.#version, snapshot, changed, removed };
  }
}
