/** The axes of charts of the last 15 minutes. */
import type uPlot from "uplot";
import type { Palette } from "./palette.js";

/** How tall a time axis is, in CSS pixels. */
export const TIME_AXIS_PX = 22;
/** The seconds that it shows. */
const WIDTH_S = 900;
/** Half of its first and of its last word, which stand at its ends, in CSS pixels. */
const [HALF_FIRST_PX, HALF_LAST_PX] = [22, 12] as const;
/** A plot that has no width yet counts as this wide, in CSS pixels. */
const LEAST_PLOT_PX = 200;

const FONT = "11px -apple-system, 'Segoe UI', Inter, Roboto, 'Noto Sans', 'Liberation Sans', sans-serif";

/** Minutes ago. @param palette asked each time it is drawn */
export function timeAxis(palette: () => Palette, show = true): uPlot.Axis {
  return {
    ...axisOf(palette, TIME_AXIS_PX),
    show,
    gap: 4,
    grid: { show: false },
    splits: (plot) => {
      const secondsOfPx = WIDTH_S / Math.max(LEAST_PLOT_PX, plot.bbox.width / devicePixelRatio);
      return [HALF_FIRST_PX * secondsOfPx - WIDTH_S, -600, -300, -HALF_LAST_PX * secondsOfPx];
    },
    values: () => ["−15 min", "−10 min", "−5 min", "now"],
  };
}

/** Values, on the right, with a line at each. @param marks where they stand, from the largest value of the scale */
export function valueAxis(
  palette: () => Palette,
  sizePx: number,
  marks: (max: number) => number[],
  format: (value: number) => string,
): uPlot.Axis {
  return {
    ...axisOf(palette, sizePx),
    side: 1,
    gap: 8,
    grid: { stroke: () => palette().line, width: 1 },
    splits: (_plot, _axis, _min, max) => marks(max),
    values: (_plot, splits) => splits.map((value) => format(value)),
  };
}

function axisOf(palette: () => Palette, sizePx: number): uPlot.Axis {
  return { size: sizePx, stroke: () => palette().soft, font: FONT, ticks: { show: false } };
}
