/** How many stored jobs of a pool all managers hold back: this one knows its own, and hears of the others' in their heartbeats. */
import type { ManagerHeartbeat } from "../../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { HeldBack } from "../../../../mesh/durable/limits/held-back.js";

/** What it asks. */
export interface HeldBackParts {
  /** What this manager holds back; undefined for a pool without a lane here. */
  readonly own: (pool: string) => HeldBack | undefined;
  /** The other managers that are there. */
  readonly others: (pool: string) => readonly string[];
}

/** Pools of managers that are remembered. */
const MAX_TOLD = 10_000;

export class AllHeldBack {
  readonly #parts: HeldBackParts;
  /** By pool and manager: those who hold back something. */
  readonly #told = new Map<string, HeldBack>();

  constructor(parts: HeldBackParts) {
    this.#parts = parts;
  }

  /** Another manager has told. */
  onHeartbeat({ pool, manager, stopped, durableRetrying, durableLimited }: ManagerHeartbeat): void {
    const key = keyOf(pool, manager);
    this.#told.delete(key);
    if (stopped || durableRetrying + durableLimited === 0) return;
    if (this.#told.size >= MAX_TOLD) this.#forgetGone();
    if (this.#told.size < MAX_TOLD) this.#told.set(key, { retrying: durableRetrying, limited: durableLimited });
  }

  /** Undefined for a pool without a lane here. */
  of(pool: string): HeldBack | undefined {
    const own = this.#parts.own(pool);
    if (own === undefined || this.#told.size === 0) return own;
    const others = this.#parts.others(pool).map((manager) => this.#told.get(keyOf(pool, manager)));
    return others.reduce<HeldBack>(
      (sum, other) => ({
        retrying: sum.retrying + (other?.retrying ?? 0),
        limited: sum.limited + (other?.limited ?? 0),
      }),
      own,
    );
  }

  #forgetGone(): void {
    for (const key of this.#told.keys()) {
      const [pool = "", manager = ""] = key.split(" ");
      if (!this.#parts.others(pool).includes(manager)) this.#told.delete(key);
    }
  }
}

function keyOf(pool: string, manager: string): string {
  return `${pool} ${manager}`;
}
