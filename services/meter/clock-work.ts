/**
 * What happens once a second: rates are computed anew, the history gets a point,
 * silence is judged, and while the meter is stale its readers are told how old its
 * values are.
 *
 * While nobody watches, a second may be late by one more: then it is done when the
 * next message comes, and an idle meter needs no wake of its own for it.
 */
import type { PoolCapacity } from "../../gen/poolmesh/v1/view_pb.js";
import type { MeterState } from "./meter-state.js";
import { HISTORY_STEP_MS, type HistoryPoint } from "./streams/history.js";
import { ALL } from "./streams/view.js";

/** So late a second may be while nobody watches, in milliseconds. */
const SLACK_MS = 1_000;
/** Seconds that the process missed by more than this are not made up for, in milliseconds. */
const MAX_BEHIND_MS = 2 * HISTORY_STEP_MS;

/** Does what a meter does once a second. */
export class ClockWork {
  readonly #state: MeterState;
  readonly #onSecond: () => void;
  #timer: NodeJS.Timeout | undefined;
  #dueMs = 0;
  #stopListening: (() => void) | undefined;
  #sampledWallMs: number | undefined;

  /** @param onSecond called at the end of each second */
  constructor(state: MeterState, onSecond: () => void) {
    this.#state = state;
    this.#onSecond = onSecond;
  }

  /** Wall clock of the newest point of the history; undefined when there is none yet. */
  get sampledWallMs(): number | undefined {
    return this.#sampledWallMs;
  }

  start(): void {
    if (this.#timer !== undefined) return;
    this.#dueMs = this.#state.nowMs() + HISTORY_STEP_MS;
    this.#stopListening = this.#state.changes.onWatched(() => this.#await());
    this.#await();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#stopListening?.();
  }

  /** A message has woken the process. */
  onMessage(nowMs: number): void {
    if (this.#timer !== undefined && nowMs >= this.#dueMs) this.#second(nowMs);
  }

  #await(): void {
    const { nowMs, changes } = this.#state;
    const slackMs = changes.isWatched ? 0 : SLACK_MS;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#second(nowMs()), Math.max(0, this.#dueMs + slackMs - nowMs()));
  }

  #second(nowMs: number): void {
    const isBehind = nowMs - this.#dueMs > MAX_BEHIND_MS;
    this.#dueMs = (isBehind ? nowMs : this.#dueMs) + HISTORY_STEP_MS;
    this.#await();
    this.#sample(nowMs);
    this.#onSecond();
  }

  #sample(nowMs: number): void {
    const { view, changes, freshness, history, wallMs } = this.#state;
    this.#sampledWallMs = wallMs();
    if (freshness.stale) {
      history.sample(undefined);
      changes.everythingChanged();
      return;
    }
    view.advanceRates(nowMs);
    history.forget((pool) => view.hasPool(pool));
    const pools = view.capacities(ALL, nowMs);
    history.sample(new Map([...pools, view.total(ALL, pools)].map((each) => [each.pool, toPoint(each)])));
  }
}

function toPoint(capacity: PoolCapacity): HistoryPoint {
  const { utilization, jobsPerSecond, slots, parked } = capacity;
  return { utilization, jobsPerSecond, slots, parked };
}
