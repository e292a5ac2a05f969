/** A progress bar as text: what is done, how fast, how long it still takes. Pure. */
import { count, duration, rate } from "../../browser/format.js";
import { paint } from "./output.js";

/** What there is to show. */
export interface Progress {
  readonly label: string;
  readonly done: number;
  readonly failed: number;
  /** Done a second, lately. */
  readonly perSecond: number;
  /** 0 to 1; undefined when nobody knows. */
  readonly fraction: number | undefined;
  /** How many there are in all, when that is known. */
  readonly total: number | undefined;
  readonly leftMs: number | undefined;
}

const BAR_WIDTH = 28;
const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** One line of at most `columns` characters. */
export function progressLine(progress: Progress, columns: number, color: boolean): string {
  const { label, fraction, failed, perSecond, leftMs } = progress;
  const tint = (style: "cyan" | "red" | "dim", text: string): string => (color ? paint(style, text) : text);
  const percent = fraction === undefined ? "" : ` ${String(Math.floor(fraction * 100)).padStart(3)} %`;
  const texts = [
    `${countText(progress)}`,
    `${rate(perSecond)}/s`,
    ...(leftMs === undefined ? [] : [`${duration(leftMs)} left`]),
  ];
  const failedText = failed === 0 ? "" : `${count(failed)} failed`;
  const fixed = label.length + percent.length + texts.join("   ").length + failedText.length + 10;
  const width = fraction === undefined ? 0 : Math.max(0, Math.min(BAR_WIDTH, columns - fixed));
  const bar = width < 4 || fraction === undefined ? "" : ` ${barText(fraction, width, tint)}`;
  const tail = failedText === "" ? "" : `   ${tint("red", failedText)}`;
  return `${label}${bar}${percent}   ${texts.join(tint("dim", "   "))}${tail}`;
}

function countText({ done, total }: Progress): string {
  return total === undefined ? count(done) : `${count(done)} of ${count(total)}`;
}

function barText(fraction: number, width: number, tint: (style: "cyan" | "dim", text: string) => string): string {
  const eighths = Math.round(Math.min(1, Math.max(0, fraction)) * width * 8);
  const full = Math.floor(eighths / 8);
  const part = EIGHTHS[eighths % 8] ?? "";
  const rest = width - full - (part === "" ? 0 : 1);
  return `${tint("cyan", "█".repeat(full) + part)}${tint("dim", "░".repeat(rest))}`;
}
