/** The slots of one worker: a cell each, or one bar where there are too many for cells. */
import type { WorkerRow } from "../../../../browser/worker-row.js";
import { element, setAttribute } from "../element.js";

/** Up to this many slots are drawn one by one. */
const MOST_CELLS = 24;

/** A strip that only touches the cells that changed. */
export class SlotStrip {
  readonly root = element("span", "strip");
  readonly #bar = element("span", "strip-bar", element("span", "strip-fill"));
  #cells: HTMLElement[] = [];
  #busy = -1;

  constructor() {
    this.root.setAttribute("aria-hidden", "true");
  }

  update(row: WorkerRow): void {
    setAttribute(this.root, "data-state", row.state);
    if (row.slots > MOST_CELLS) this.#updateBar(row);
    else this.#updateCells(row);
  }

  #updateBar(row: WorkerRow): void {
    if (this.#bar.parentNode !== this.root) {
      this.root.replaceChildren(this.#bar);
      this.#cells = [];
    }
    const level = String(Math.min(1, row.busy / row.slots));
    if (this.#bar.style.getPropertyValue("--level") !== level) this.#bar.style.setProperty("--level", level);
  }

  #updateCells(row: WorkerRow): void {
    if (this.#cells.length !== row.slots || this.#bar.parentNode === this.root) {
      this.#cells = Array.from({ length: row.slots }, () => element("span", "cell"));
      this.root.replaceChildren(...this.#cells);
      this.#busy = -1;
    }
    if (this.#busy === row.busy) return;
    this.#cells.forEach((cell, index) => {
      cell.classList.toggle("busy", index < row.busy);
    });
    this.#busy = row.busy;
  }
}
