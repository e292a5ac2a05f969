/** The field: every slot of every worker as a cell on one canvas, drawn only when something changed. */
import type { WorkerRow } from "../../../../browser/worker-row.js";
import { element } from "../element.js";
import { oncePerFrame } from "../frame.js";
import { type FieldLayout, layoutField, workerAt } from "./field-layout.js";
import { onSchemeChange, type Palette, readPalette } from "./palette.js";

/** Draws workers as cells, and finds the worker under the pointer. */
export class FieldCanvas {
  readonly root = element("div", "field");
  readonly #canvas = element("canvas");
  readonly #hint = element("p", "field-hint");
  readonly #draw = oncePerFrame(() => this.#drawNow());
  #palette: Palette | undefined;
  #rows: readonly WorkerRow[] = [];
  #layout: FieldLayout | undefined;
  #shape = "";

  /** @param onChoose called with the worker that was clicked */
  constructor(onChoose: (row: WorkerRow) => void) {
    this.#canvas.setAttribute("aria-hidden", "true");
    this.#hint.setAttribute("aria-hidden", "true");
    this.root.append(this.#canvas, this.#hint);
    new ResizeObserver(() => this.#invalidate()).observe(this.root);
    onSchemeChange(() => this.#invalidate());
    this.#canvas.addEventListener("pointermove", (event) => this.#point(this.#at(event)));
    this.#canvas.addEventListener("pointerleave", () => this.#point(undefined));
    this.#canvas.addEventListener("click", (event) => {
      const row = this.#at(event);
      if (row !== undefined) onChoose(row);
    });
  }

  /** @param rows in the order of names, so that a worker keeps its place */
  update(rows: readonly WorkerRow[]): void {
    this.#rows = rows;
    this.#draw();
  }

  #invalidate(): void {
    this.#shape = "";
    this.#palette = undefined;
    this.#draw();
  }

  #drawNow(): void {
    const { width, height } = this.#canvas.getBoundingClientRect();
    if (width === 0) return;
    const layout = this.#layoutFor(width, height);
    const context = this.#canvas.getContext("2d");
    if (context === null) return;
    this.#palette ??= readPalette();
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, width, height);
    this.#rows.forEach((row, index) => {
      drawWorker(context, layout, index, row, this.#palette as Palette);
    });
  }

  #layoutFor(width: number, height: number): FieldLayout {
    const shape = `${width}×${height}×${devicePixelRatio}:${this.#rows.map((row) => row.slots).join()}`;
    if (this.#layout === undefined || shape !== this.#shape) {
      this.#shape = shape;
      this.#canvas.width = Math.round(width * devicePixelRatio);
      this.#canvas.height = Math.round(height * devicePixelRatio);
      this.#layout = layoutField(
        this.#rows.map((row) => row.slots),
        width,
        height,
      );
    }
    return this.#layout;
  }

  #at(event: MouseEvent): WorkerRow | undefined {
    const index = this.#layout && workerAt(this.#layout, event.offsetX, event.offsetY);
    return index === undefined ? undefined : this.#rows[index];
  }

  #point(row: WorkerRow | undefined): void {
    this.#canvas.classList.toggle("pointed", row !== undefined);
    this.#hint.textContent = row === undefined ? "" : `${row.worker} · ${row.state} · ${row.busy} of ${row.slots} busy`;
  }
}

function drawWorker(
  context: CanvasRenderingContext2D,
  layout: FieldLayout,
  index: number,
  row: WorkerRow,
  palette: Palette,
): void {
  const first = layout.starts[index] ?? 0;
  const last = layout.starts[index + 1] ?? first;
  for (let cell = first; cell < last; cell += 1) {
    const place = layout.places[cell];
    if (place === undefined) return;
    if (layout.unit === "slots") drawCell(context, place, layout.cellPx, row, cell - first < row.busy, palette);
    else drawShade(context, place, layout.cellPx, row, palette);
  }
}

function drawCell(
  context: CanvasRenderingContext2D,
  [x, y]: readonly [number, number],
  size: number,
  row: WorkerRow,
  busy: boolean,
  palette: Palette,
): void {
  const color = colorOf(row, palette);
  context.beginPath();
  if (busy || row.state === "ready") {
    context.roundRect(x, y, size, size, size >= 8 ? size / 6 : 1);
    context.fillStyle = busy ? color : palette.cell;
    context.fill();
    return;
  }
  context.roundRect(x + 0.75, y + 0.75, size - 1.5, size - 1.5, size >= 8 ? size / 6 : 1);
  context.strokeStyle = color;
  context.lineWidth = size >= 10 ? 1.5 : 1;
  context.stroke();
}

function drawShade(
  context: CanvasRenderingContext2D,
  [x, y]: readonly [number, number],
  size: number,
  row: WorkerRow,
  palette: Palette,
): void {
  const share = row.slots === 0 ? 0 : row.busy / row.slots;
  context.fillStyle = palette.cell;
  context.fillRect(x, y, size, size);
  context.globalAlpha = row.state === "ready" ? 0.15 + 0.85 * share : 1;
  context.fillStyle = colorOf(row, palette);
  context.fillRect(x, y, size, size);
  context.globalAlpha = 1;
}

function colorOf(row: WorkerRow, palette: Palette): string {
  if (row.state === "lost") return palette.coral;
  if (row.state === "draining") return palette.amber;
  if (row.state === "paused") return palette.iris;
  return row.state === "ready" ? palette.water : palette.soft;
}
