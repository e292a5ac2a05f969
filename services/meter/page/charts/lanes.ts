/** The last 15 minutes in three lanes: full at open from the meter's memory, then a point a second. */

import { count, duration, percent, rate } from "../../../../browser/format.js";
import type { createMeterClient, PoolCapacity } from "../../../../browser.js";
import { isName } from "../../../../mesh/wire/subjects.js";
import { byId, element, setText } from "../element.js";
import { chosenCapacity, connectionNow, type PageState } from "../page-state.js";
import { type HistoryLane, type HistoryPoint, HistoryRing } from "./history-ring.js";
import { LaneChart } from "./lane-chart.js";
import { niceTop } from "./nice-top.js";

type MeterClient = ReturnType<typeof createMeterClient>;

/** The charts. */
export class Lanes {
  readonly #ring = new HistoryRing();
  readonly #charts: Readonly<Record<HistoryLane, LaneChart>>;
  readonly #title = element("h3", "eyebrow");
  readonly #client: Pick<MeterClient, "getHistory">;
  #pointed: number | undefined;
  #asked = 0;

  constructor(client: Pick<MeterClient, "getHistory">) {
    this.#client = client;
    this.#title.id = "lanes-title";
    const onPoint = (second: number | undefined): void => this.#show(second);
    this.#charts = {
      utilization: new LaneChart({
        label: "Utilization",
        heightPx: 132,
        color: (palette) => palette.water,
        wash: (palette) => palette.wash,
        top: () => 1,
        format: percent,
        meanSeconds: 5,
        timeAxis: false,
        onPoint,
      }),
      jobsPerSecond: new LaneChart({
        label: "Jobs a second",
        heightPx: 64,
        color: (palette) => palette.ink,
        wash: () => "transparent",
        top: (largest) => niceTop(largest, 1),
        format: rate,
        meanSeconds: 1,
        timeAxis: false,
        onPoint,
      }),
      parked: new LaneChart({
        label: "Parked jobs",
        heightPx: 48,
        color: (palette) => palette.amber,
        wash: (palette) => palette.amberWash,
        top: (largest) => niceTop(largest, 10),
        format: (value) => count(value),
        meanSeconds: 1,
        timeAxis: true,
        onPoint,
      }),
    };
    byId("lanes").append(this.#title, ...Object.values(this.#charts).map((chart) => chart.root));
    this.#show(undefined);
  }

  /** Asks the meter for the past of the chosen pool. */
  async refill(state: PageState): Promise<void> {
    this.#asked += 1;
    const asked = this.#asked;
    if (state.pool !== "" && !isName(state.pool)) {
      this.#ring.clear();
      return;
    }
    try {
      const history = await this.#client.getHistory({ pool: state.pool }, { timeoutMs: 10_000 });
      if (asked !== this.#asked) return;
      this.#ring.seed(history, performance.now());
      this.#ring.amend(toPoint(liveCapacity(state)));
    } catch {
      if (asked !== this.#asked) return;
      this.#ring.clear();
    }
    this.#draw();
  }

  /** Adds this second. */
  tick(state: PageState): void {
    const capacity = liveCapacity(state);
    const gap = this.#ring.advance(toPoint(capacity), performance.now());
    this.#draw();
    if (gap && capacity !== undefined) void this.refill(state);
  }

  /** Says of this second what the rest of the page says of it; nothing while the meter's values are old. */
  update(state: PageState): void {
    this.#ring.amend(toPoint(liveCapacity(state)));
    for (const chart of Object.values(this.#charts)) chart.show(this.#pointed);
  }

  #draw(): void {
    for (const [lane, chart] of Object.entries(this.#charts)) {
      chart.update(this.#ring.lane(lane as HistoryLane));
      chart.show(this.#pointed);
    }
  }

  #show(second: number | undefined): void {
    this.#pointed = second;
    const ago = second === undefined ? "Last 15 minutes" : second === 0 ? "Now" : `${duration(-second * 1_000)} ago`;
    setText(this.#title, ago);
    for (const chart of Object.values(this.#charts)) chart.show(second);
  }
}

function liveCapacity(state: PageState): PoolCapacity | undefined {
  return connectionNow(state).state === "live" ? chosenCapacity(state) : undefined;
}

/** A pool without slots is not full: its utilization is unknown. */
function toPoint(capacity: PoolCapacity | undefined): HistoryPoint {
  if (capacity === undefined) return { utilization: null, jobsPerSecond: null, parked: null };
  const { utilization, slots, jobsPerSecond, parked } = capacity;
  return { utilization: slots === 0 ? null : utilization, jobsPerSecond, parked };
}
