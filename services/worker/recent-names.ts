/**
 * Names that were seen lately.
 *
 * Pure. Two maps take turns: when one has half of the names that may be, the
 * older one goes as a whole. Taking out one name for each that comes in costs
 * several times as much. So the last half of the limit is always remembered, and
 * never more than all of it.
 */
export class RecentNames {
  readonly #half: number;
  readonly #ttlMs: number;
  #young = new Map<string, number>();
  #old = new Map<string, number>();

  constructor(limit: number, ttlMs: number) {
    this.#half = Math.floor(limit / 2);
    this.#ttlMs = ttlMs;
  }

  add(name: string, nowMs: number): void {
    if (this.#young.size >= this.#half) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(name, Math.trunc(nowMs));
  }

  /** Whether it was added within the time to live. */
  has(name: string, nowMs: number): boolean {
    const atMs = this.#young.get(name) ?? this.#old.get(name);
    return atMs !== undefined && nowMs - atMs <= this.#ttlMs;
  }
}
