/**
 * What the interfaces of the meter share: the view, the readers of changes, its
 * freshness, and its counters.
 */
import type { Freshness as FreshnessMessage } from "../../gen/poolmesh/v1/meter_pb.js";
import { PoolError, unknownPool } from "../../mesh/errors.js";
import { KEEP_ALIVE_MS } from "./doors/request.js";
import { Tally } from "./registry/counters.js";
import { Freshness } from "./registry/freshness.js";
import type { RowStoreOptions } from "./registry/row-store.js";
import { Changes } from "./streams/changes.js";
import { History } from "./streams/history.js";
import { View } from "./streams/view.js";

/** Bounds and times of a meter. */
export interface MeterStateOptions extends RowStoreOptions {
  /** Changes are collected for this long before they are sent to readers, in milliseconds; default 50. */
  readonly coalesceMs?: number;
  /** Every stream sends a message at least this often, in milliseconds; default 14,500. */
  readonly keepAliveMs?: number;
  /** The same for solpipe.WorkerStatus; default 30,000. */
  readonly statusKeepAliveMs?: number;
}

/** What the interfaces share. */
export class MeterState {
  readonly nowMs = (): number => performance.now();
  readonly wallMs = (): number => Date.now();
  readonly tally = new Tally();
  readonly history = new History();
  readonly freshness: Freshness;
  readonly changes: Changes;
  readonly view: View;
  readonly coalesceMs: number;
  readonly keepAliveMs: number;
  readonly statusKeepAliveMs: number;

  constructor(options: MeterStateOptions = {}) {
    this.coalesceMs = options.coalesceMs ?? 50;
    this.keepAliveMs = options.keepAliveMs ?? KEEP_ALIVE_MS;
    this.statusKeepAliveMs = options.statusKeepAliveMs ?? 30_000;
    const shortest = Math.min(this.keepAliveMs, this.statusKeepAliveMs);
    const lookMs = Math.min(250, Math.max(5, shortest / 10));
    this.changes = new Changes({ coalesceMs: this.coalesceMs, lookMs, nowMs: this.nowMs });
    this.view = new View(this.changes, options);
    this.freshness = new Freshness(this.nowMs());
  }

  /** How fresh it is now, for a message. */
  freshnessNow(): FreshnessMessage {
    return this.freshness.toMessage(this.nowMs(), this.wallMs());
  }

  /**
   * @throws PoolError `unknown_pool` when no worker has sent a heartbeat for it, `bus_unavailable` when the meter is stale
   */
  requirePool(pool: string): void {
    if (pool === "" || this.view.hasPool(pool)) return;
    if (this.freshness.stale) throw new PoolError("bus_unavailable", "not connected to the broker");
    throw unknownPool();
  }

  /** A stale meter gives no values to scale by. @throws PoolError `bus_unavailable` */
  requireFresh(): void {
    if (this.freshness.stale) throw new PoolError("bus_unavailable", "not connected to the broker: the values are old");
  }
}
