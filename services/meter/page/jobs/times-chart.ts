/** How long jobs took over the last 15 minutes: p50, p95 and p99 of waiting, running, or both. */
import uPlot from "uplot";
import { duration } from "../../../../browser/format.js";
import type { GetJobStatsResponse, TimeSeries } from "../../../../gen/poolmesh/v1/meter_pb.js";
import { timeAxis, valueAxis } from "../charts/axes.js";
import { niceTop } from "../charts/nice-top.js";
import { onSchemeChange, type Palette, readPalette } from "../charts/palette.js";
import { element, setAttribute, setText } from "../element.js";
import { time } from "./outcome-words.js";

/** What is timed, and what that means. */
const TIMED = {
  total: "from submit to the outcome",
  wait: "from submit to the start of the last attempt",
  run: "from the start of the last attempt to the outcome",
} as const;
export type Timed = keyof typeof TIMED;

const QUANTILES = ["p50Ms", "p95Ms", "p99Ms"] as const;
const NAMES = ["p50", "p95", "p99"] as const;
const COLORS: readonly ((palette: Palette) => string)[] = [
  ({ water }) => water,
  ({ ink }) => ink,
  ({ amber }) => amber,
];
/** Minutes that are shown. */
const WIDTH_S = 900;
const VALUE_AXIS_PX = 52;
/** The scale has two whole milliseconds at least: half of it is a mark of its own. */
const LEAST_TOP_MS = 2;

/** The chart, and the switch above it. */
export class TimesChart {
  readonly root = element("figure", "lane times");
  readonly #plot: uPlot;
  readonly #holder = element("div", "lane-plot");
  readonly #meaning = element("span", "lane-label");
  readonly #values = QUANTILES.map(() => element("span", "lane-value"));
  #palette = readPalette();
  #timed: Timed = "total";
  #stats: GetJobStatsResponse | undefined;

  constructor() {
    const legend = element("div", "times-legend");
    NAMES.forEach((name, i) => {
      legend.append(element("span", `times-key key-${name}`, name, " ", this.#values[i] as HTMLElement));
    });
    this.#holder.setAttribute("role", "img");
    const caption = element("figcaption", "lane-caption", this.#switch(), this.#meaning, legend);
    this.root.append(caption, this.#holder);
    this.#plot = new uPlot(this.#options(), [[0], [null], [null], [null]], this.#holder);
    new ResizeObserver(([entry]) => {
      const width = Math.floor(entry?.contentRect.width ?? 0);
      if (width > 0 && width !== this.#plot.width) this.#plot.setSize({ width, height: this.#plot.height });
    }).observe(this.#holder);
    onSchemeChange(() => {
      this.#palette = readPalette();
      this.#plot.redraw(false, true);
    });
  }

  update(stats: GetJobStatsResponse | undefined): void {
    if (stats === this.#stats) return;
    this.#stats = stats;
    this.#draw();
  }

  #draw(): void {
    const stats = this.#stats;
    const series = stats?.[`${this.#timed}Series`];
    const now = stats?.[this.#timed];
    const stepS = Math.max(1, stats?.stepMs ?? 1_000) / 1_000;
    // The newest point is what the figures say.
    const lines = QUANTILES.map((quantile) => [
      ...(series?.[quantile] ?? []).map((ms) => (ms < 0 ? null : ms)),
      now === undefined || now.jobs === 0n ? null : now[quantile],
    ]);
    const points = lines[0]?.length ?? 1;
    const at = Array.from({ length: points }, (_, i) => (i - points + 1) * stepS);
    this.#plot.setData([at, ...lines] as uPlot.AlignedData);
    setText(this.#meaning, TIMED[this.#timed]);
    const words = QUANTILES.map((quantile, i) => {
      const text = now === undefined || now.jobs === 0n ? "—" : time(now[quantile]);
      setText(this.#values[i] as HTMLElement, text);
      return `${NAMES[i]} ${text}`;
    });
    const spoken = `Time of jobs ${TIMED[this.#timed]}, last 15 minutes; now ${words.join(", ")}`;
    setAttribute(this.#holder, "aria-label", spoken);
  }

  #switch(): HTMLElement {
    const group = element("div", "switch");
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "Which time is drawn");
    for (const timed of Object.keys(TIMED) as Timed[]) {
      const button = element("button", "switch-choice", timed);
      button.type = "button";
      button.title = TIMED[timed];
      setAttribute(button, "aria-pressed", String(timed === this.#timed));
      button.addEventListener("click", () => {
        this.#timed = timed;
        for (const each of group.children) setAttribute(each, "aria-pressed", String(each === button));
        this.#draw();
      });
      group.append(button);
    }
    return group;
  }

  #options(): uPlot.Options {
    return {
      width: 600,
      height: 126,
      padding: [8, 0, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { time: false, range: [-WIDTH_S, 0] },
        y: { range: (_plot, _min, max) => [0, niceTop(max ?? 0, LEAST_TOP_MS)] },
      },
      axes: [
        timeAxis(() => this.#palette),
        valueAxis(
          () => this.#palette,
          VALUE_AXIS_PX,
          (max) => [0, max / 2, max],
          duration,
        ),
      ],
      series: [
        {},
        ...COLORS.map((color) => ({
          stroke: () => color(this.#palette),
          width: 1.5,
          points: { show: false },
          spanGaps: false,
        })),
      ],
    };
  }
}

/** Whether a series has a point. */
export function hasPoints(series: TimeSeries | undefined): boolean {
  return series?.p50Ms.some((ms) => ms >= 0) ?? false;
}
