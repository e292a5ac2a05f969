/** The axes of charts of the last 15 minutes. */
import type uPlot from "uplot";
import type { Palette } from "./palette.js";

/** How tall a time axis is, in CSS pixels. */
export const TIME_AXIS_PX = 22;

const FONT = "11px -apple-system, 'Segoe UI', Inter, Roboto, 'Noto Sans', 'Liberation Sans', sans-serif";

/** Minutes ago. @param palette asked each time it is drawn */
export function timeAxis(palette: () => Palette, show = true): uPlot.Axis {
  return {
    ...axisOf(palette, TIME_AXIS_PX),
    show,
    gap: 4,
    grid: { show: false },
    splits: () => [-840, -600, -300, -20],
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
