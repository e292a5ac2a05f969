/**
 * Containers for jobs that come and go all the time: by key, in order of arrival,
 * by deadline. Pure.
 *
 * Each is made so that what has left it can be collected, and so that every
 * operation takes constant time with ten thousand jobs in it.
 */

/** A table of a {@link ChurnMap} has at least so many places. */
const MIN_PLACES = 16;
/** A table of so many places stays when it empties: bundles let hundreds of jobs come and go at once. */
const KEPT_PLACES = 2_048;
/** Other ids collide in another process. */
let seed = Math.floor(Math.random() * 2 ** 32) | 0;

/** Makes the order of values() the same in every run; for the simulator, before any map is made. */
export function fixChurnOrder(number: number): void {
  seed = number | 0;
}

/**
 * A map by string keys. JavaScript's Map begins a new table whenever its places are used up, and
 * each old table points to the next. Once one of them has lived long enough for
 * the collector to take it for permanent, it keeps alive all tables that follow,
 * with every entry that they had when they were given up: what lived for a
 * millisecond is collected like what lived for minutes (docs/adr/0011). Here
 * entries are put into and taken out of the same two arrays: open addressing,
 * linear probing, no marks of what was deleted.
 */
export class ChurnMap<V> {
  #keys: (string | undefined)[] = [];
  #values: (V | undefined)[] = [];
  #hashes = new Int32Array(0);
  #mask = 0;
  #size = 0;
  /** The key asked for last and its hash: a key is asked for, then set, as a rule. */
  #lastKey = "";
  #lastHash = hashOf("");

  constructor() {
    this.#rebuild(MIN_PLACES);
  }

  get size(): number {
    return this.#size;
  }

  get(key: string): V | undefined {
    const place = this.#find(key, this.#hashOf(key));
    return this.#keys[place] === undefined ? undefined : this.#values[place];
  }

  set(key: string, value: V): void {
    const hash = this.#hashOf(key);
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
    const place = this.#find(key, this.#hashOf(key));
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

  #hashOf(key: string): number {
    if (key === this.#lastKey) return this.#lastHash;
    this.#lastKey = key;
    this.#lastHash = hashOf(key);
    return this.#lastHash;
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

/** A place in a {@link Fifo}; keep it to remove its value later. */
export interface FifoNode<T> {
  readonly value: T;
  previous: FifoNode<T> | undefined;
  next: FifoNode<T> | undefined;
}

/** A first-in-first-out list, doubly linked: a member can leave from the middle. */
export class Fifo<T> {
  #first: FifoNode<T> | undefined;
  #last: FifoNode<T> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The value that has been here longest. */
  get first(): T | undefined {
    return this.#first?.value;
  }

  push(value: T): FifoNode<T> {
    return this.append({ value, previous: undefined, next: undefined });
  }

  /** Puts a node at the end that is in no list: a new one, or one that was removed. */
  append(node: FifoNode<T>): FifoNode<T> {
    node.previous = this.#last;
    if (this.#last === undefined) this.#first = node;
    else this.#last.next = node;
    this.#last = node;
    this.#size += 1;
    return node;
  }

  /** Puts a value before all others, as one that comes back to its place. */
  unshift(value: T): FifoNode<T> {
    const node: FifoNode<T> = { value, previous: undefined, next: this.#first };
    if (this.#first === undefined) this.#last = node;
    else this.#first.previous = node;
    this.#first = node;
    this.#size += 1;
    return node;
  }

  /** Takes out a node of this list. Once per node. */
  remove(node: FifoNode<T>): void {
    if (node.previous === undefined) this.#first = node.next;
    else node.previous.next = node.next;
    if (node.next === undefined) this.#last = node.previous;
    else node.next.previous = node.previous;
    // a removed node that the collector has aged would keep alive all that came after it
    node.previous = undefined;
    node.next = undefined;
    this.#size -= 1;
  }

  shift(): T | undefined {
    const node = this.#first;
    if (node === undefined) return undefined;
    this.remove(node);
    return node.value;
  }

  /** From the oldest on. Nothing may be removed meanwhile. */
  *[Symbol.iterator](): Generator<T> {
    for (let node = this.#first; node !== undefined; node = node.next) yield node.value;
  }
}

/** What {@link Deadlines} write into an item: its tick, and its place among the items of that tick. */
export interface Due {
  dueTick: number;
  duePlace: number;
}

/**
 * Deadlines of many jobs without a timer per job; time is an argument.
 *
 * Jobs are kept in buckets of one tick; one sweep
 * hands out those whose tick has passed, so a deadline is met within a tick
 * and a sweep interval. An item is in one of these containers at a time.
 */
export class Deadlines<T extends Due> {
  readonly #tickMs: number;
  /** In no order: the last item takes the place of one that leaves. */
  readonly #buckets = new Map<number, T[]>();
  #sweptTick = Number.NEGATIVE_INFINITY;
  /** The bucket made last stays when it is empty: the next item most likely goes there. */
  #newest: T[] = [];
  #newestTick = Number.NaN;
  #size = 0;

  /** @param tickMs width of a bucket, in milliseconds */
  constructor(tickMs = 10) {
    this.#tickMs = tickMs;
  }

  get size(): number {
    return this.#size;
  }

  /** Remembers `item` until `at` (monotonic milliseconds). */
  add(item: T, at: number): void {
    // Rounded up, so that nothing ends early, and never into a tick that was swept already.
    const tick = Math.max(Math.ceil(at / this.#tickMs), this.#sweptTick + 1);
    const bucket = tick === this.#newestTick ? this.#newest : (this.#buckets.get(tick) ?? this.#open(tick));
    item.dueTick = tick;
    item.duePlace = bucket.push(item) - 1;
    this.#size += 1;
  }

  /** Forgets `item`; nothing happens when it is not here. */
  delete(item: T): void {
    const { dueTick, duePlace } = item;
    const bucket = dueTick === this.#newestTick ? this.#newest : this.#buckets.get(dueTick);
    if (bucket === undefined || bucket[duePlace] !== item) return;
    const last = bucket.pop() as T;
    if (last !== item) {
      bucket[duePlace] = last;
      last.duePlace = duePlace;
    }
    this.#size -= 1;
    if (bucket.length === 0 && dueTick !== this.#newestTick) this.#buckets.delete(dueTick);
  }

  /** Takes out everything whose deadline is at or before `now`. */
  expired(now: number): T[] {
    const nowTick = Math.floor(now / this.#tickMs);
    const found: T[] = [];
    if (this.#size > 0) {
      if (nowTick - this.#sweptTick > this.#buckets.size) this.#scanBuckets(nowTick, found);
      else for (let tick = this.#sweptTick + 1; tick <= nowTick; tick += 1) this.#takeBucket(tick, found);
    }
    this.#sweptTick = Math.max(this.#sweptTick, nowTick);
    return found;
  }

  #open(tick: number): T[] {
    if (this.#newest.length === 0) this.#buckets.delete(this.#newestTick);
    this.#newest = [];
    this.#newestTick = tick;
    this.#buckets.set(tick, this.#newest);
    return this.#newest;
  }

  #scanBuckets(nowTick: number, found: T[]): void {
    for (const tick of [...this.#buckets.keys()]) if (tick <= nowTick) this.#takeBucket(tick, found);
  }

  #takeBucket(tick: number, found: T[]): void {
    const bucket = this.#buckets.get(tick);
    if (bucket === undefined) return;
    this.#buckets.delete(tick);
    if (tick === this.#newestTick) this.#newestTick = Number.NaN;
    this.#size -= bucket.length;
    for (const item of bucket) found.push(item);
  }
}

/** Buckets of a {@link TimeHistogram}. */
export const TIME_BUCKETS = 120;
/** Units of its buckets in a millisecond, and the longest time that has units of its own, in milliseconds. */
const UNITS_PER_MS = 16;
const LONGEST_MS = 134_217_727;

/**
 * The upper bounds of the histograms that metrics show, in milliseconds; what takes longer is counted behind them. Powers
 * of two: each is where a bucket of a {@link TimeHistogram} ends.
 */
export const DURATION_BOUNDS_MS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 8_192, 65_536] as const;

/** Counts times by size: four buckets for each doubling, from 1/16 ms to a day and a half. */
export class TimeHistogram {
  readonly counts = new Float64Array(TIME_BUCKETS);
  sumMs = 0;

  /** @param ms a time in milliseconds; below 0 counts as 0 */
  add(ms: number): void {
    const bucket = timeBucket(ms);
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.sumMs += ms;
  }

  /** Adds all that another one has counted. */
  addAll({ counts, sumMs }: TimeHistogram): void {
    for (const [bucket, count] of counts.entries()) this.counts[bucket] = (this.counts[bucket] as number) + count;
    this.sumMs += sumMs;
  }

  /** How many times are below each of these bounds, and how many there are. @param boundsMs where buckets end, rising */
  below(boundsMs: readonly number[]): { readonly below: readonly number[]; readonly all: number } {
    const below = boundsMs.map(() => 0);
    let [all, next] = [0, 0];
    for (const [bucket, count] of this.counts.entries()) {
      while (next < below.length && timeBucketStart(bucket) >= (boundsMs[next] as number)) {
        below[next] = all;
        next += 1;
      }
      all += count;
    }
    return { below: below.map((count, at) => (at < next ? count : all)), all };
  }
}

/** The bucket of a time in milliseconds. Whole numbers only: it is asked three times for each job. */
function timeBucket(ms: number): number {
  if (!(ms > 0)) return 0;
  const units = ms >= LONGEST_MS ? LONGEST_MS * UNITS_PER_MS : (ms * UNITS_PER_MS) | 0;
  if (units < 4) return units;
  const doubling = 31 - Math.clz32(units);
  return (doubling - 1) * 4 + ((units >> (doubling - 2)) & 3);
}

/** Where a bucket begins, in milliseconds; it ends where the next one begins. */
export function timeBucketStart(bucket: number): number {
  if (bucket < 4) return bucket / UNITS_PER_MS;
  return (2 ** (Math.floor(bucket / 4) - 1) * (4 + (bucket % 4))) / UNITS_PER_MS;
}
