/** One row of the workers' table. It updates only what differs. */

import { age, count, duration } from "../../../../browser/format.js";
import type { StateWord, WorkerRow } from "../../../../browser/worker-row.js";
import { heartbeatAgeMs } from "../../../../browser.js";
import type { ControlVerb } from "../control/control-verbs.js";
import { verbsFor } from "../control/control-verbs.js";
import { element, glyph, setAttribute, setText } from "../element.js";
import { SlotStrip } from "./slot-strip.js";
import { WORKER_COLUMNS, type WorkerColumn } from "./worker-columns.js";

/** Says by how much a clock is off; undefined when it is not. */
function clockTitle({ marks, clockOffsetMs }: WorkerRow): string | undefined {
  if (!marks.includes("clock off")) return undefined;
  return `clock ${duration(Math.abs(clockOffsetMs))} ${clockOffsetMs > 0 ? "ahead of" : "behind"} the meter's`;
}

/** What the reader may ask of a worker. */
export type ControlAsk = (verb: ControlVerb, row: WorkerRow) => void;

/** A row, reused for other workers as the table scrolls. */
export class WorkerRowElement {
  readonly root = element("tr", "worker");
  readonly #cells: Readonly<Record<WorkerColumn["id"], HTMLTableCellElement>>;
  readonly #strip = new SlotStrip();
  readonly #name = element("span", "worker-name");
  readonly #pool = element("span", "worker-pool");
  readonly #marks = element("span", "marks");
  #row: WorkerRow | undefined;
  #state: StateWord | undefined;

  constructor(readonly ask: ControlAsk) {
    const cells = WORKER_COLUMNS.map(({ id }) => [id, element(id === "worker" ? "th" : "td", `col-${id}`)] as const);
    this.#cells = Object.fromEntries(cells) as Record<WorkerColumn["id"], HTMLTableCellElement>;
    this.#cells.worker.scope = "row";
    this.#cells.worker.append(this.#name, this.#pool, this.#marks);
    this.#cells.slots.append(this.#strip.root);
    this.root.append(...cells.map(([, cell]) => cell));
  }

  /** @param index place in the whole table, 0 for the first row */
  update(row: WorkerRow, index: number, nowMs: number, withPool: boolean): void {
    setAttribute(this.root, "aria-rowindex", String(index + 2));
    setText(this.#cells.beat, age(heartbeatAgeMs(row.seen, nowMs)));
    setText(this.#pool, withPool ? row.pool : "");
    if (this.#row === row) return;
    this.#row = row;
    this.#updateState(row);
    this.#strip.update(row);
    this.#updateName(row);
    setText(this.#cells.busy, `${row.busy} / ${row.slots}`);
    setText(this.#cells.done, count(row.jobsDone));
    setText(this.#cells.failed, row.jobsFailed === 0 ? "–" : count(row.jobsFailed));
    setText(this.#cells.lag, row.loopLagMs < 1 ? "–" : duration(row.loopLagMs));
    setText(this.#cells.host, row.host);
    setText(this.#cells.running, row.running);
    setAttribute(this.#cells.host, "title", `${row.host} · pid ${row.seen.view.heartbeat?.pid ?? 0} · ${row.version}`);
    setAttribute(this.#cells.running, "title", row.running === "" ? undefined : row.running);
    setAttribute(this.#cells.failed, "data-tone", row.jobsFailed > 0 ? "coral" : undefined);
    setAttribute(this.#cells.lag, "data-tone", row.marks.includes("lagging") ? "amber" : undefined);
  }

  #updateName(row: WorkerRow): void {
    setText(this.#name, row.worker);
    for (const button of this.#cells.actions.children) {
      setAttribute(button, "aria-label", `${button.textContent} ${row.worker}`);
    }
  }

  #updateState(row: WorkerRow): void {
    const marks = row.marks.join();
    if (this.#marks.dataset.marks !== marks) {
      this.#marks.dataset.marks = marks;
      this.#marks.replaceChildren(
        ...row.marks.map((mark) => element("span", `mark mark-${mark.replace(" ", "-")}`, mark)),
      );
      setAttribute(this.#marks, "title", clockTitle(row));
    }
    setAttribute(this.root, "data-conflict", row.marks.includes("conflict") ? "" : undefined);
    if (this.#state === row.state) return;
    this.#state = row.state;
    setAttribute(this.root, "data-state", row.state);
    this.#cells.state.replaceChildren(element("span", "badge", glyph(row.state), row.state));
    this.#cells.actions.replaceChildren(...verbsFor(row.state).map((verb) => this.#button(verb)));
  }

  #button(verb: ControlVerb): HTMLButtonElement {
    const button = element("button", "quiet", verb);
    button.type = "button";
    button.addEventListener("click", () => {
      if (this.#row !== undefined) this.ask(verb, this.#row);
    });
    return button;
  }
}
