/**
 * How far the meter can be trusted at this moment.
 *
 * Pure. Stale: cut off from the broker, or nothing of it is heard; values are
 * then the last known ones, and nobody is LOST for being silent.
 */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Freshness as FreshnessMessage, FreshnessSchema } from "../../../gen/poolmesh/v1/meter_pb.js";

/** Fresh or stale, and since when. A meter is born stale. */
export class Freshness {
  #staleFromMs: number | undefined;

  /** @param nowMs monotonic clock */
  constructor(nowMs: number) {
    this.#staleFromMs = nowMs;
  }

  get stale(): boolean {
    return this.#staleFromMs !== undefined;
  }

  /** Nothing has been heard since `fromMs`; whether that is news. */
  lose(fromMs: number): boolean {
    if (this.stale) return false;
    this.#staleFromMs = fromMs;
    return true;
  }

  /** The broker is heard again; whether that is news. */
  regain(): boolean {
    const news = this.stale;
    this.#staleFromMs = undefined;
    return news;
  }

  /** @param wallMs wall clock, milliseconds since the epoch */
  toMessage(nowMs: number, wallMs: number): FreshnessMessage {
    return create(FreshnessSchema, {
      stale: this.stale,
      staleAgeMs: this.#staleFromMs === undefined ? 0 : Math.max(0, nowMs - this.#staleFromMs),
      at: timestampFromMs(wallMs),
    });
  }
}
