/**
 * A comparison as an SVG: arms down, one column of bars for each condition, each
 * column with its own scale from zero. A thin line spans minimum to maximum.
 * Readable on light and dark pages. Pure.
 */
import type { Comparison, Series } from "../figures/comparison.js";
import { formatNumber } from "../figures/numbers.js";
import type { Figure } from "../figures/stats.js";

const WIDTH = 960;
const ROW_HEIGHT = 26;
const BAR_HEIGHT = 14;
const HEAD_HEIGHT = 74;
const FOOT_HEIGHT = 14;
const GAP = 18;
/** Room for a figure beside the longest bar. */
const FIGURE_WIDTH = 62;
/** The mean width of a letter. */
const LETTER_WIDTH = 7;
/** The arms that are ours have names that begin so. */
const OURS = "Poolmesh";

const STYLE = `
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2937; }
  .title { font-size: 15px; font-weight: 600; }
  .note, .head { fill: #4b5563; }
  .ours { font-weight: 600; }
  .back { fill: #ffffff; }
  .axis { stroke: #d1d5db; }
  .bar { fill: #9ca3af; }
  .bar.ours { fill: #2563eb; }
  .bar.base { fill: #4b5563; }
  .range { stroke: #111827; stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e5e7eb; }
    .note, .head { fill: #9ca3af; }
    .back { fill: #0d1117; }
    .axis { stroke: #374151; }
    .bar { fill: #6b7280; }
    .bar.ours { fill: #60a5fa; }
    .bar.base { fill: #d1d5db; }
    .range { stroke: #f9fafb; }
  }`;

/** The chart's file. */
export function chartSvg(comparison: Comparison): string {
  const { title, unit, better, conditions, series } = comparison;
  const height = HEAD_HEIGHT + series.length * ROW_HEIGHT + FOOT_HEIGHT;
  const columns = conditions.map((_, i) => column(comparison, i)).join("\n");
  const labels = series.map(({ arm }, row) => label(comparison, arm, row)).join("\n");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img">
<title>${escapeXml(title)}</title>
<style>${STYLE}
</style>
<rect class="back" width="${WIDTH}" height="${height}" rx="6"/>
<text class="title" x="16" y="26">${escapeXml(title)}</text>
<text class="note" x="16" y="45">${escapeXml(unit)}, ${better} is better; bars are medians, lines span all rounds</text>
${labels}
${columns}
</svg>
`;
}

function label(comparison: Comparison, arm: string, row: number): string {
  const kind = arm.startsWith(OURS) ? ' class="ours"' : "";
  const text = labelText(comparison, arm);
  return `<text${kind} x="${labelWidth(comparison)}" y="${middleOf(row) + 4}" text-anchor="end">${escapeXml(text)}</text>`;
}

function labelText({ against }: Comparison, arm: string): string {
  return arm === against ? `${arm} (= 1)` : arm;
}

function labelWidth(comparison: Comparison): number {
  return 16 + LETTER_WIDTH * Math.max(...comparison.series.map(({ arm }) => labelText(comparison, arm).length));
}

function column(comparison: Comparison, index: number): string {
  const { conditions, series, against } = comparison;
  const left = labelWidth(comparison);
  const width = (WIDTH - left - 16) / conditions.length;
  const x = left + 10 + index * width;
  const room = width - GAP - FIGURE_WIDTH;
  const largest = Math.max(...series.map(({ figures }) => figures[index]?.max ?? 0), Number.MIN_VALUE);
  const bars = series.map((each, row) => bar(each, index, row, { x, scale: room / largest, against }));
  const bottom = HEAD_HEIGHT + series.length * ROW_HEIGHT;
  const head = conditions.length > 1 ? escapeXml(conditions[index] ?? "") : "";
  return `<text class="head" x="${round(x)}" y="${HEAD_HEIGHT - 8}">${head}</text>
<line class="axis" x1="${round(x)}" x2="${round(x)}" y1="${HEAD_HEIGHT}" y2="${bottom}"/>
${bars.join("\n")}`;
}

function bar(
  { arm, figures }: Series,
  index: number,
  row: number,
  { x, scale, against }: { readonly x: number; readonly scale: number; readonly against: string | undefined },
): string {
  const figure: Figure | null = figures[index] ?? null;
  const y = middleOf(row);
  if (figure === null) return `<text class="note" x="${round(x + 6)}" y="${y + 4}">–</text>`;
  const kind = arm.startsWith(OURS) ? "bar ours" : arm === against ? "bar base" : "bar";
  const end = x + figure.median * scale;
  const [from, to] = [x + figure.min * scale, x + figure.max * scale];
  const top = y - BAR_HEIGHT / 2;
  const range =
    figure.rounds.length > 1 ? `<line class="range" x1="${round(from)}" x2="${round(to)}" y1="${y}" y2="${y}"/>` : "";
  return (
    `<rect class="${kind}" x="${round(x)}" y="${top}" width="${round(Math.max(1, end - x))}" height="${BAR_HEIGHT}" rx="2"/>` +
    `${range}<text x="${round(Math.max(end, to) + 6)}" y="${y + 4}">${formatNumber(figure.median)}</text>`
  );
}

function middleOf(row: number): number {
  return HEAD_HEIGHT + row * ROW_HEIGHT + ROW_HEIGHT / 2;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escapeXml(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}
