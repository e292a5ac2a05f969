/**
 * The limits of one pool's stored jobs, for operators.
 *
 * Decided here: a manager sets and removes them, since it makes the stream; they are read from the
 * stream itself.
 */

import { checkLimit, checkTarget, type Limit } from "../../../mesh/durable/limits/limit.js";
import { listLimits } from "../../../mesh/durable/limits/list-limits.js";
import type { DurableNames } from "../../../mesh/durable/names.js";
import type { LaneStore } from "../../../mesh/durable/store.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { Inbox } from "../../../mesh/link/inbox.js";
import { wireHeaders } from "../../../mesh/wire/wire-headers.js";
import { askDoor } from "../ask-door.js";

/** What it works with. */
export interface PoolLimitsParts {
  readonly pool: string;
  readonly bus: Bus;
  readonly names: DurableNames;
  readonly store: LaneStore;
}

export class Limits {
  readonly #parts: PoolLimitsParts;
  #inbox: Inbox | undefined;

  constructor(parts: PoolLimitsParts) {
    this.#parts = parts;
  }

  /**
   * Sets a limit, for all managers; one of the same target gives way. Jobs that run already go on. Those that
   * began when their target had no limit are not counted.
   *
   * @throws PoolError `invalid_argument`, `pool_full` at 500 limits, `unknown_pool`, `bus_unavailable`
   */
  async set(limit: Limit): Promise<void> {
    await this.#ask({ set: checkLimit(limit) });
  }

  /** What waited for it goes on. @throws PoolError `not_found`, `invalid_argument`, `unknown_pool`, `bus_unavailable` */
  async remove(target: string): Promise<void> {
    await this.#ask({ remove: checkTarget(target) });
  }

  /** By target; at most 500. @throws PoolError */
  list(): Promise<Limit[]> {
    return listLimits(this.#parts, this.#parts.pool);
  }

  stop(): void {
    this.#inbox?.stop();
  }

  async #ask(what: object): Promise<void> {
    const { pool, bus, names } = this.#parts;
    this.#inbox ??= new Inbox(bus);
    const question = {
      subject: names.limits(pool),
      payload: Buffer.from(JSON.stringify(what)),
      headers: wireHeaders(),
    };
    await askDoor({ bus, inbox: this.#inbox, pool, what: "limits" }, question);
  }
}
