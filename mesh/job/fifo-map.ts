/**
 * A bounded map that forgets its oldest entry first.
 *
 * Pure. A ring beside the map, because a Map that is emptied from its front
 * walks over its own holes.
 */

interface Entry<V> {
  readonly key: string;
  readonly value: V;
  /** False once deleted or replaced; its place in the ring is freed when it comes to the front. */
  live: boolean;
}

/** At most `limit` entries; setting one more drops the oldest. */
export class FifoMap<V> {
  readonly #limit: number;
  readonly #onDrop: (value: V) => void;
  readonly #map = new Map<string, Entry<V>>();
  readonly #ring: (Entry<V> | undefined)[] = [];
  #head = 0;
  #length = 0;

  /** @param onDrop called with every value that leaves, for whatever reason */
  constructor(limit: number, onDrop: (value: V) => void = () => {}) {
    this.#limit = limit;
    this.#onDrop = onDrop;
  }

  get size(): number {
    return this.#map.size;
  }

  get(key: string): V | undefined {
    return this.#map.get(key)?.value;
  }

  /** Adds an entry as the newest, in place of one with the same key. */
  set(key: string, value: V): void {
    this.#leave(this.#map.get(key));
    if (this.#length === this.#limit) this.#shift();
    const entry = { key, value, live: true };
    this.#ring[(this.#head + this.#length) % this.#limit] = entry;
    this.#length += 1;
    this.#map.set(key, entry);
  }

  /** The oldest entry's value. */
  oldest(): V | undefined {
    while (this.#length > 0 && this.#ring[this.#head]?.live !== true) this.#shift();
    return this.#ring[this.#head]?.value;
  }

  /** Drops the oldest entry. */
  dropOldest(): void {
    if (this.oldest() !== undefined) this.#shift();
  }

  /** All values, oldest first. */
  *values(): Generator<V> {
    for (let i = 0; i < this.#length; i += 1) {
      const entry = this.#ring[(this.#head + i) % this.#limit];
      if (entry?.live) yield entry.value;
    }
  }

  #shift(): void {
    const entry = this.#ring[this.#head];
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) % this.#limit;
    this.#length -= 1;
    if (!entry?.live) return;
    this.#map.delete(entry.key);
    this.#leave(entry);
  }

  #leave(entry: Entry<V> | undefined): void {
    if (entry === undefined) return;
    entry.live = false;
    this.#onDrop(entry.value);
  }
}
