/**
 * The workers' table. Only the rows in view exist as elements, and each is reused for
 * the worker that scrolls into its place. The order changes at most once a second, so
 * that rows can be read while values change.
 */
import type { SortOrder } from "../../../../browser/order-workers.js";
import type { WorkerRow } from "../../../../browser/worker-row.js";
import type { ControlAsk } from "../control/control-verbs.js";
import { element, setAttribute } from "../element.js";
import { virtualWindow } from "./virtual-window.js";
import { WORKER_COLUMNS, type WorkerColumn } from "./worker-columns.js";
import { WorkerRowElement } from "./worker-row-element.js";

/** What the table shows. */
export interface WorkerTableData {
  readonly rows: readonly WorkerRow[];
  readonly order: SortOrder;
  /** Whether a row names its pool. */
  readonly withPool: boolean;
  readonly withControl: boolean;
  /** Versions that are too far behind the newest. */
  readonly far: ReadonlySet<string>;
}

/** Draws workers, also thousands of them. */
export class WorkerTable {
  readonly root = element("table", "worker-table");
  readonly #body = element("tbody");
  readonly #top = element("tr", "pad");
  readonly #bottom = element("tr", "pad");
  readonly #heads = new Map<WorkerColumn, HTMLTableCellElement>();
  readonly #rows: WorkerRowElement[] = [];
  #rowPx = 36;
  #order: SortOrder | undefined;

  constructor(
    readonly ask: ControlAsk,
    readonly onSort: (order: SortOrder) => void,
  ) {
    setAttribute(this.root, "aria-labelledby", "workers-title");
    const head = element("tr");
    head.append(...WORKER_COLUMNS.map((column) => this.#head(column)));
    setAttribute(head, "aria-rowindex", "1");
    this.#top.setAttribute("aria-hidden", "true");
    this.#bottom.setAttribute("aria-hidden", "true");
    this.root.append(element("thead", "", head), this.#body);
    this.#body.append(this.#top, this.#bottom);
  }

  /** Draws what is in view now. */
  update(data: WorkerTableData, nowMs: number): void {
    this.#order = data.order;
    setAttribute(this.root, "aria-rowcount", String(data.rows.length + 1));
    setAttribute(this.root, "data-control", data.withControl ? "" : undefined);
    for (const [column, head] of this.#heads) setAttribute(head, "aria-sort", ariaSort(column, data.order));
    const topPx = -this.#body.getBoundingClientRect().top;
    const view = virtualWindow(data.rows.length, topPx, innerHeight, this.#rowPx);
    this.#fit(view.last - view.first);
    setHeight(this.#top, view.padTopPx);
    setHeight(this.#bottom, view.padBottomPx);
    for (let i = view.first; i < view.last; i += 1) {
      const row = data.rows[i];
      if (row === undefined) continue;
      const look = { withPool: data.withPool, isOld: data.far.has(row.version) };
      this.#rows[i - view.first]?.update(row, i, nowMs, look);
    }
    this.#rowPx = this.#rows[0]?.root.offsetHeight || this.#rowPx;
  }

  #fit(count: number): void {
    while (this.#rows.length < count) {
      const row = new WorkerRowElement(this.ask);
      this.#rows.push(row);
      this.#bottom.before(row.root);
    }
    while (this.#rows.length > count) this.#rows.pop()?.root.remove();
  }

  #head(column: WorkerColumn): HTMLTableCellElement {
    const head = element("th", `col-${column.id}`);
    head.scope = "col";
    this.#heads.set(column, head);
    if (column.sort === undefined) {
      head.append(column.title);
      return head;
    }
    const button = element("button", "sort", column.title);
    button.type = "button";
    button.addEventListener("click", () => {
      if (column.sort === undefined) return;
      const again = this.#order?.column === column.sort;
      this.#order = { column: column.sort, descending: again ? !this.#order?.descending : column.descendingFirst };
      this.onSort(this.#order);
    });
    head.append(button);
    return head;
  }
}

function ariaSort(column: WorkerColumn, order: SortOrder): string | undefined {
  if (column.sort !== order.column) return undefined;
  return order.descending ? "descending" : "ascending";
}

function setHeight(row: HTMLElement, px: number): void {
  const height = `${px}px`;
  if (row.style.height !== height) row.style.height = height;
}
