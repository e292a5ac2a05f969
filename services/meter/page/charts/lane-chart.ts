/** One lane of the last 15 minutes: a uPlot chart that slides by a point a second. */
import uPlot from "uplot";
import { element, setText } from "../element.js";
import { TIME_AXIS_PX, timeAxis, valueAxis } from "./axes.js";
import { HISTORY_POINTS } from "./history-ring.js";
import { onSchemeChange, type Palette, readPalette } from "./palette.js";
import { trailingMean } from "./trailing-mean.js";

/** How a lane looks and reads. */
export interface LaneOptions {
  readonly label: string;
  readonly heightPx: number;
  readonly color: (palette: Palette) => string;
  readonly wash: (palette: Palette) => string;
  /** Top of the scale for the largest value shown. */
  readonly top: (largest: number) => number;
  readonly format: (value: number) => string;
  /** The line is a mean over so many seconds; the single seconds are drawn pale behind it. 1 for no mean. */
  readonly meanSeconds: number;
  /** Whether it bears the time axis. */
  readonly timeAxis: boolean;
  /** Called with the second pointed at (0 is now, −899 the oldest), or undefined. */
  readonly onPoint: (second: number | undefined) => void;
}

const SECONDS = Array.from({ length: HISTORY_POINTS }, (_, i) => i - HISTORY_POINTS + 1);
const VALUE_AXIS_PX = 46;

/** A lane of the history. */
export class LaneChart {
  readonly root = element("figure", "lane");
  readonly #value = element("span", "lane-value");
  readonly #plot: uPlot;
  #palette = readPalette();
  #values: readonly (number | null)[] = [];

  constructor(readonly options: LaneOptions) {
    const caption = element("figcaption", "lane-caption", element("span", "lane-label", options.label), this.#value);
    const holder = element("div", "lane-plot");
    holder.setAttribute("role", "img");
    this.root.append(caption, holder);
    this.#plot = new uPlot(this.#plotOptions(), [SECONDS, SECONDS.map(() => null), SECONDS.map(() => null)], holder);
    new ResizeObserver(([entry]) => {
      const width = Math.floor(entry?.contentRect.width ?? 0);
      if (width > 0 && width !== this.#plot.width) this.#plot.setSize({ width, height: this.#plot.height });
    }).observe(holder);
    onSchemeChange(() => {
      this.#palette = readPalette();
      this.#plot.redraw(false, true);
    });
  }

  /** @param values one for each second, oldest first */
  update(values: readonly (number | null)[]): void {
    this.#values = values;
    const raw = [...values];
    const { meanSeconds } = this.options;
    this.#plot.setData([SECONDS, raw, meanSeconds > 1 ? trailingMean(values, meanSeconds) : raw]);
    const known = values.filter((value) => value !== null);
    const { format, label } = this.options;
    const spoken =
      known.length === 0
        ? `${label}, last 15 minutes: nothing known`
        : `${label}, last 15 minutes: now ${this.#text(undefined)}, between ${format(Math.min(...known))} and ${format(Math.max(...known))}`;
    this.root.querySelector(".lane-plot")?.setAttribute("aria-label", spoken);
  }

  /** Shows the value of one second; undefined for the newest. */
  show(second: number | undefined): void {
    setText(this.#value, this.#text(second));
  }

  #text(second: number | undefined): string {
    const value = this.#values[HISTORY_POINTS - 1 + (second ?? 0)] ?? null;
    return value === null ? "—" : this.options.format(value);
  }

  #plotOptions(): uPlot.Options {
    const { options } = this;
    return {
      width: 600,
      height: options.heightPx + (options.timeAxis ? TIME_AXIS_PX : 0),
      padding: [8, 0, options.timeAxis ? 0 : 7, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: "lanes" }, points: { size: 7 } },
      scales: {
        x: { time: false, range: [SECONDS[0] ?? 0, 0] },
        y: { range: (_plot, _min, max) => [0, options.top(max ?? 0)] },
      },
      axes: [
        timeAxis(() => this.#palette, options.timeAxis),
        valueAxis(
          () => this.#palette,
          VALUE_AXIS_PX,
          (max) => (options.heightPx > 100 ? [0, max / 2, max] : [0, max]),
          (value) => options.format(value),
        ),
      ],
      series: [
        {},
        {
          stroke: "transparent",
          fill: (plot) => this.#gradient(plot),
          width: 0,
          points: { show: false },
          spanGaps: false,
        },
        { stroke: () => options.color(this.#palette), width: 1.5, points: { show: false }, spanGaps: false },
      ],
      hooks: { setCursor: [(plot) => options.onPoint(secondAt(plot))] },
    };
  }

  #gradient(plot: uPlot): CanvasGradient {
    const gradient = plot.ctx.createLinearGradient(0, plot.bbox.top, 0, plot.bbox.top + plot.bbox.height);
    gradient.addColorStop(0, this.options.wash(this.#palette));
    gradient.addColorStop(1, "transparent");
    return gradient;
  }
}

function secondAt(plot: uPlot): number | undefined {
  const index = plot.cursor.idx;
  const left = plot.cursor.left ?? -1;
  return left < 0 || index === undefined || index === null ? undefined : SECONDS[index];
}
