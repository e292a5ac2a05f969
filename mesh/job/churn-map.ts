/**
 * A map for entries that come and go all the time, such as jobs under way.
 *
 * Pure. JavaScript's Map begins a new table whenever its places are used up, and
 * each old table points to the next. Once one of them has lived long enough for
 * the collector to take it for permanent, it keeps alive all tables that follow,
 * with every entry that they had when they were given up: what lived for a
 * millisecond is collected like what lived for minutes (docs/adr/0011). Here
 * entries are put into and taken out of the same two arrays: open addressing,
 * linear probing, no marks of what was deleted.
 */

const MIN_PLACES = 16;
/** A table of so many places stays when it empties: bundles let hundreds of jobs come and go at once. */
const KEPT_PLACES = 2_048;
/** Other ids collide in another process. */
let seed = Math.floor(Math.random() * 2 ** 32) | 0;

/** Makes the order of values() the same in every run; for the simulator, before any map is made. */
export function fixChurnOrder(number: number): void {
  seed = number | 0;
}

export class ChurnMap<V> {
  #keys: (string | undefined)[] = [];
  #values: (V | undefined)[] = [];
  #hashes = new Int32Array(0);
  #mask = 0;
  #size = 0;

  constructor() {
    this.#rebuild(MIN_PLACES);
  }

  get size(): number {
    return this.#size;
  }

  get(key: string): V | undefined {
    const place = this.#find(key, hashOf(key));
    return this.#keys[place] === undefined ? undefined : this.#values[place];
  }

  set(key: string, value: V): void {
    const hash = hashOf(key);
    let place = this.#find(key, hash);
    if (this.#keys[place] === undefined) {
      // at most two thirds are taken, else runs of neighbours get long
      if (3 * (this.#size + 1) > 2 * (this.#mask + 1)) {
        this.#rebuild(2 * (this.#mask + 1));
        place = this.#find(key, hash);
      }
      this.#keys[place] = key;
      this.#hashes[place] = hash;
      this.#size += 1;
    }
    this.#values[place] = value;
  }

  /** Whether there was one. */
  delete(key: string): boolean {
    const place = this.#find(key, hashOf(key));
    if (this.#keys[place] === undefined) return false;
    this.#close(place);
    this.#size -= 1;
    const places = this.#mask + 1;
    if (places > KEPT_PLACES && 16 * this.#size < places) this.#rebuild(places / 4);
    return true;
  }

  clear(): void {
    this.#size = 0;
    if (this.#mask >= MIN_PLACES) return this.#rebuild(MIN_PLACES);
    this.#keys.fill(undefined);
    this.#values.fill(undefined);
  }

  /** All values as of now, in no order. */
  values(): V[] {
    const values: V[] = [];
    for (let place = 0; place <= this.#mask; place += 1) {
      if (this.#keys[place] !== undefined) values.push(this.#values[place] as V);
    }
    return values;
  }

  /** Where a key is, or would be. */
  #find(key: string, hash: number): number {
    let place = hash & this.#mask;
    for (let at = this.#keys[place]; at !== undefined; at = this.#keys[place]) {
      if (this.#hashes[place] === hash && at === key) return place;
      place = (place + 1) & this.#mask;
    }
    return place;
  }

  /** Empties a place, and moves up what was only put behind it because it was taken. */
  #close(emptied: number): void {
    let hole = emptied;
    for (let place = (hole + 1) & this.#mask; this.#keys[place] !== undefined; place = (place + 1) & this.#mask) {
      const home = (this.#hashes[place] as number) & this.#mask;
      if (((place - home) & this.#mask) < ((place - hole) & this.#mask)) continue;
      this.#keys[hole] = this.#keys[place];
      this.#values[hole] = this.#values[place];
      this.#hashes[hole] = this.#hashes[place] as number;
      hole = place;
    }
    this.#keys[hole] = undefined;
    this.#values[hole] = undefined;
  }

  #rebuild(places: number): void {
    const [keys, values, hashes] = [this.#keys, this.#values, this.#hashes];
    this.#keys = new Array<string | undefined>(places).fill(undefined);
    this.#values = new Array<V | undefined>(places).fill(undefined);
    this.#hashes = new Int32Array(places);
    this.#mask = places - 1;
    if (this.#size === 0) return;
    for (let from = 0; from < keys.length; from += 1) {
      const key = keys[from];
      if (key === undefined) continue;
      const to = this.#find(key, hashes[from] as number);
      this.#keys[to] = key;
      this.#values[to] = values[from];
      this.#hashes[to] = hashes[from] as number;
    }
  }
}

/** FNV-1a, then mixed so that the low bits depend on all. */
function hashOf(key: string): number {
  let hash = seed;
  for (let i = 0; i < key.length; i += 1) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return hash ^ (hash >>> 13);
}
