/** One row of the workers' table. It updates only what differs. */

import { age, count, duration } from "../../../../browser/format.js";
import type { StateWord, WorkerRow } from "../../../../browser/worker-row.js";
import { heartbeatAgeMs } from "../../../../browser.js";
import { type ControlAsk, type ControlVerb, verbsFor } from "../control/control-verbs.js";
import { element, glyph, setAttribute, setText } from "../element.js";
import { workerHash } from "../route.js";
import { SlotStrip } from "./slot-strip.js";
import { WORKER_COLUMNS, type WorkerColumn } from "./worker-columns.js";
import { clockText, oldText } from "./worker-words.js";

/** How a row is shown. */
export interface RowLook {
  /** Whether it names its pool. */
  readonly withPool: boolean;
  /** Its version is too far behind those of others. */
  readonly isOld: boolean;
}

/** A row, reused for other workers as the table scrolls. */
export class WorkerRowElement {
  readonly root = element("tr", "worker");
  readonly #cells: Readonly<Record<WorkerColumn["id"], HTMLTableCellElement>>;
  readonly #strip = new SlotStrip();
  readonly #name = element("a", "worker-name");
  readonly #pool = element("span", "worker-pool");
  readonly #marks = element("span", "marks");
  #row: WorkerRow | undefined;
  #isOld = false;
  #state: StateWord | undefined;

  constructor(readonly ask: ControlAsk) {
    const cells = WORKER_COLUMNS.map(({ id }) => [id, element(id === "worker" ? "th" : "td", `col-${id}`)] as const);
    this.#cells = Object.fromEntries(cells) as Record<WorkerColumn["id"], HTMLTableCellElement>;
    this.#cells.worker.scope = "row";
    this.#cells.worker.append(element("div", "worker-label", this.#name, this.#pool, this.#marks));
    this.#cells.slots.append(this.#strip.root);
    this.root.append(...cells.map(([, cell]) => cell));
  }

  /** @param index place in the whole table, 0 for the first row */
  update(row: WorkerRow, index: number, nowMs: number, { withPool, isOld }: RowLook): void {
    setAttribute(this.root, "aria-rowindex", String(index + 2));
    setText(this.#cells.beat, age(heartbeatAgeMs(row.seen, nowMs)));
    setText(this.#pool, withPool ? row.pool : "");
    if (this.#row === row && this.#isOld === isOld) return;
    this.#row = row;
    this.#isOld = isOld;
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
    setAttribute(this.#name, "title", row.worker);
    const { pool = "", worker = "" } = row.seen.view.heartbeat ?? {};
    setAttribute(this.#name, "href", workerHash(pool, worker));
    for (const button of this.#cells.actions.children) {
      setAttribute(button, "aria-label", `${button.textContent} ${row.worker}`);
    }
  }

  #updateState(row: WorkerRow): void {
    const shown = this.#isOld ? [...row.marks, "old"] : row.marks;
    const marks = shown.join();
    if (this.#marks.dataset.marks !== marks) {
      this.#marks.dataset.marks = marks;
      this.#marks.replaceChildren(...shown.map((mark) => element("span", `mark mark-${mark.replace(" ", "-")}`, mark)));
      const { isOff, text } = clockText(row);
      const titles = [
        ...(isOff ? [`clock ${text}`] : []),
        ...(this.#isOld ? [`version ${row.version}: ${oldText}`] : []),
      ];
      setAttribute(this.#marks, "title", titles.length === 0 ? undefined : titles.join("; "));
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
