/**
 * Whether the meter's values are current.
 *
 * Pure. The meter is stale when it is cut off from the broker or hears nothing from
 * it. Its values are then the last known ones, and no worker becomes LOST by silence.
 */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Freshness as FreshnessMessage, FreshnessSchema } from "../../../gen/poolmesh/v1/meter_pb.js";

/** Fresh or stale, and since when. A meter starts stale. */
export class Freshness {
  #staleFromMs: number | undefined;

  /** @param nowMs monotonic clock */
  constructor(nowMs: number) {
    this.#staleFromMs = nowMs;
  }

  get stale(): boolean {
    return this.#staleFromMs !== undefined;
  }

  /** Nothing has been heard since `fromMs`. Returns whether the meter was fresh before. */
  lose(fromMs: number): boolean {
    if (this.stale) return false;
    this.#staleFromMs = fromMs;
    return true;
  }

  /** The broker is heard again. Returns whether the meter was stale before. */
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
