/**
 * What happens once a second: rates are computed anew, the history gets a point,
 * and while the meter is stale its readers are told how old its values are.
 */
import type { PoolCapacity } from "../../gen/poolmesh/v1/view_pb.js";
import type { MeterState } from "./meter-state.js";
import { HISTORY_STEP_MS, type HistoryPoint } from "./streams/history.js";
import { ALL } from "./streams/view.js";

/** Does what a meter does once a second. */
export class ClockWork {
  readonly #state: MeterState;
  #timer: NodeJS.Timeout | undefined;
  #sampledWallMs: number | undefined;

  constructor(state: MeterState) {
    this.#state = state;
  }

  /** Wall clock of the newest point of the history; undefined when there is none yet. */
  get sampledWallMs(): number | undefined {
    return this.#sampledWallMs;
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#second(), HISTORY_STEP_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #second(): void {
    const { view, changes, freshness, history, nowMs, wallMs } = this.#state;
    this.#sampledWallMs = wallMs();
    if (freshness.stale) {
      history.sample(undefined);
      changes.everythingChanged();
      return;
    }
    view.advanceRates(nowMs());
    history.forget((pool) => view.hasPool(pool));
    const pools = view.capacities(ALL, nowMs());
    history.sample(new Map([...pools, view.total(ALL, pools)].map((each) => [each.pool, toPoint(each)])));
  }
}

function toPoint(capacity: PoolCapacity): HistoryPoint {
  const { utilization, jobsPerSecond, slots, parked } = capacity;
  return { utilization, jobsPerSecond, slots, parked };
}
