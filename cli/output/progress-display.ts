/**
 * A progress bar on a terminal: redraws one line, and gives way to other output.
 *
 * Off a terminal it draws nothing.
 */
import type { Output } from "./output.js";
import { progressLine } from "./progress-bar.js";

const REDRAW_MS = 100;
/** The rate is that of the last few seconds. */
const RATE_WINDOW_MS = 5_000;

interface Sample {
  readonly at: number;
  readonly done: number;
  readonly fraction: number;
}

export class ProgressDisplay {
  readonly #out: Output;
  readonly #label: string;
  readonly #samples: Sample[] = [];
  #timer: NodeJS.Timeout | undefined;
  #shown = false;
  #done = 0;
  #failed = 0;
  #fraction: number | undefined;
  #total: number | undefined;

  constructor(out: Output, label: string) {
    this.#out = out;
    this.#label = label;
  }

  /** Begins to draw. @param total how many there are, when that is known */
  start(total?: number): void {
    this.#total = total;
    if (!this.#out.isTerminal) return;
    this.#timer = setInterval(() => this.#draw(), REDRAW_MS);
  }

  /** Counts one more. @param fraction how far that is, when the total number is unknown */
  add(ok: boolean, fraction?: number): void {
    this.#done += 1;
    if (!ok) this.#failed += 1;
    if (this.#total !== undefined) this.#fraction = this.#done / Math.max(1, this.#total);
    else if (fraction !== undefined) this.#fraction = Math.max(this.#fraction ?? 0, fraction);
  }

  /** Takes the bar away, so that other lines can be written; it comes back by itself. */
  clear(): void {
    if (!this.#shown) return;
    this.#shown = false;
    void this.#out.write("\r\u001b[K");
  }

  /** Draws no more and takes the bar away. */
  stop(): void {
    clearInterval(this.#timer);
    this.clear();
  }

  #draw(): void {
    const now = performance.now();
    const fraction = this.#fraction ?? 0;
    this.#samples.push({ at: now, done: this.#done, fraction });
    while (this.#samples.length > 2 && now - (this.#samples[0]?.at ?? now) > RATE_WINDOW_MS) this.#samples.shift();
    const first = this.#samples[0] as Sample;
    const elapsedMs = now - first.at;
    const gained = fraction - first.fraction;
    const leftMs = gained > 0 ? ((1 - fraction) / gained) * elapsedMs : undefined;
    const perSecond = elapsedMs === 0 ? 0 : ((this.#done - first.done) / elapsedMs) * 1_000;
    const known = { total: this.#total, fraction: this.#fraction, leftMs };
    const progress = { label: this.#label, done: this.#done, failed: this.#failed, perSecond, ...known };
    this.#shown = true;
    void this.#out.write(`\r${progressLine(progress, this.#out.columns, this.#out.color)}\u001b[K`);
  }
}
