/** The workers of the chosen pool: title, filter, table, and a notice when no worker passes the filter. */

import { count } from "../../../../browser/format.js";
import { byName, isShown, type SortOrder, sortRows } from "../../../../browser/order-workers.js";
import { type StateWord, type WorkerRow, workerRow } from "../../../../browser/worker-row.js";
import type { SeenWorker } from "../../../../browser.js";
import type { ControlAsk } from "../control/control-verbs.js";
import { byId, element, setText } from "../element.js";
import type { PageState } from "../page-state.js";
import { StateFilter } from "./state-filter.js";
import { WorkerTable, type WorkerTableData } from "./worker-table.js";
import { farVersions } from "./worker-words.js";

/** What the reader may do here. */
export interface WorkersListener {
  readonly onText: (text: string) => void;
  readonly onStates: (states: ReadonlySet<StateWord>) => void;
  readonly onSort: (order: SortOrder) => void;
  readonly onAsk: ControlAsk;
}

/** Orders, filters and shows workers. */
export class WorkersSection {
  readonly #title = element("h3", "eyebrow", "Workers");
  readonly #shown = element("span", "shown");
  readonly #none = element("p", "none");
  readonly #filter: StateFilter;
  readonly #table: WorkerTable;
  #named: readonly WorkerRow[] = [];
  #heard: ReadonlyMap<string, SeenWorker> | undefined;
  #pool = "";
  #shownData: WorkerTableData | undefined;
  #order: readonly string[] = [];
  #orderedBy = "";

  constructor(listener: WorkersListener) {
    this.#filter = new StateFilter(listener);
    this.#table = new WorkerTable(listener.onAsk, listener.onSort);
    this.#title.id = "workers-title";
    this.#title.tabIndex = -1;
    this.#title.append(" ", this.#shown);
    byId("workers").append(
      element("div", "workers-head", this.#title, this.#filter.root),
      this.#table.root,
      this.#none,
    );
  }

  /** Filters by one worker's name, as if typed. */
  choose(row: WorkerRow): void {
    this.#filter.setText(row.worker);
  }

  /** The chosen pool's workers in the order of their names; sorted anew only when one came or went. */
  named(state: PageState): readonly WorkerRow[] {
    const workers = state.workers?.workers;
    if (workers === this.#heard && state.pool === this.#pool) return this.#named;
    const mine = [...(workers?.values() ?? [])].filter(({ view }) => {
      return state.pool === "" || view.heartbeat?.pool === state.pool;
    });
    const kept = state.pool === this.#pool && mine.length === this.#named.length;
    const again = kept ? this.#named.map(({ key }) => workers?.get(key)) : [];
    const same = kept && again.every((seen) => seen !== undefined);
    this.#named = same ? again.map(workerRow) : mine.map(workerRow).sort(byName);
    this.#heard = workers;
    this.#pool = state.pool;
    return this.#named;
  }

  /** Draws the rows that have scrolled into view. */
  scrolled(nowMs: number): void {
    if (this.#shownData !== undefined) this.#table.update(this.#shownData, nowMs);
  }

  /** @param reorder whether this is the moment to sort anew */
  update(state: PageState, rows: readonly WorkerRow[], nowMs: number, reorder: boolean): void {
    this.#filter.update(rows);
    const filter = { pool: state.pool, text: state.filterText, states: state.filterStates };
    const shown = rows.filter((row) => isShown(row, filter));
    const ordered = this.#arrange(shown, state, nowMs, reorder);
    setText(
      this.#shown,
      shown.length === rows.length ? count(rows.length) : `${count(shown.length)} of ${count(rows.length)}`,
    );
    setText(this.#none, shown.length === 0 && rows.length > 0 ? "No worker matches the filter." : "");
    const withPool = state.pool === "" && (state.capacity?.pools.size ?? 0) > 1;
    this.#shownData = {
      rows: ordered,
      order: state.order,
      withPool,
      withControl: state.control,
      far: farVersions(state),
    };
    this.#table.update(this.#shownData, nowMs);
  }

  #arrange(shown: readonly WorkerRow[], state: PageState, nowMs: number, reorder: boolean): readonly WorkerRow[] {
    const by = `${state.pool}:${state.order.column}:${state.order.descending}:${state.filterText}:${[...state.filterStates]}`;
    const byKey = new Map(shown.map((row) => [row.key, row]));
    const same = !reorder && by === this.#orderedBy && this.#order.length === shown.length;
    const kept = same ? this.#order.map((key) => byKey.get(key)) : [];
    if (same && kept.every((row) => row !== undefined)) return kept;
    const sorted = sortRows(shown, state.order, nowMs);
    this.#order = sorted.map((row) => row.key);
    this.#orderedBy = by;
    return sorted;
  }
}
