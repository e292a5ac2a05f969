/**
 * A bounded map that forgets its oldest entry first.
 *
 * Pure. A ring beside the map, because a Map that is emptied from its front
 * walks over its own holes.
 */

interface Entry<V> {
  readonly key: string;
  value: V;
}

/** At most `limit` entries; setting one more drops the oldest. */
export class FifoMap<V> {
  readonly #limit: number;
  readonly #map = new Map<string, Entry<V>>();
  readonly #ring: (Entry<V> | undefined)[] = [];
  #head = 0;
  #length = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#map.size;
  }

  get(key: string): V | undefined {
    return this.#map.get(key)?.value;
  }

  /** Adds an entry as the newest, in place of one with the same key; returns what was dropped for room. */
  set(key: string, value: V): V | undefined {
    this.delete(key);
    const dropped = this.#length === this.#limit ? this.shift() : undefined;
    const entry = { key, value };
    this.#ring[(this.#head + this.#length) % this.#limit] = entry;
    this.#length += 1;
    this.#map.set(key, entry);
    return dropped;
  }

  /** Forgets an entry and returns it. Its place in the ring is freed when it comes to the front. */
  delete(key: string): V | undefined {
    const entry = this.#map.get(key);
    if (entry === undefined) return undefined;
    this.#map.delete(key);
    this.#trim();
    return entry.value;
  }

  /** The oldest entry's value. */
  oldest(): V | undefined {
    this.#trim();
    return this.#ring[this.#head]?.value;
  }

  /** Drops the oldest place of the ring and returns the entry's value, if it still counted. */
  shift(): V | undefined {
    if (this.#length === 0) return undefined;
    const entry = this.#ring[this.#head] as Entry<V>;
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) % this.#limit;
    this.#length -= 1;
    if (this.#map.get(entry.key) !== entry) return undefined;
    this.#map.delete(entry.key);
    return entry.value;
  }

  /** All values, oldest first. */
  *values(): Generator<V> {
    for (let i = 0; i < this.#length; i += 1) {
      const entry = this.#ring[(this.#head + i) % this.#limit];
      if (entry !== undefined && this.#map.get(entry.key) === entry) yield entry.value;
    }
  }

  #trim(): void {
    while (this.#length > 0) {
      const entry = this.#ring[this.#head] as Entry<V>;
      if (this.#map.get(entry.key) === entry) return;
      this.shift();
    }
  }
}
