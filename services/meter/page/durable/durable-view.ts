/** The durable lane: how each pool's lane stands, and the batches and dead letters of the chosen one. */
import { count } from "../../../../browser/format.js";
import { plainText } from "../../../../mesh/plain-text.js";
import type { ConfirmDialog } from "../control/confirm-dialog.js";
import type { Session } from "../control/session.js";
import { byId, element, setAttribute, setText } from "../element.js";
import { hasLane, hasLaneTab, type PageState } from "../page-state.js";
import { durableHash } from "../route.js";
import { BatchList } from "./batch-list.js";
import { DeadList } from "./dead-list.js";
import { type LaneRow, laneRows, laneTotal, oldestText, streamWarnings } from "./lane-figures.js";

const COLUMNS = [
  ["scheduled", "Scheduled", "wait for their time"],
  ["queued", "Queued", "in the stream; no manager has it"],
  ["held", "Held", "at a manager, for a slot, or running"],
  ["limited", "Limited", "at a manager, until limits let them run"],
  ["retrying", "Retrying", "failed, and not yet due again"],
  ["dead", "Dead", "given up: dead letters that are kept"],
  ["oldest", "Oldest", "the age of the oldest job that has not ended"],
] as const;

/** The view and its link in the head of the page. */
export class DurableView {
  readonly #root = byId("durable");
  readonly #tab = byId("durable-tab");
  readonly #tabDead = element("span", "tab-count");
  readonly #note = element("p", "none");
  readonly #warnings = element("ul", "warnings");
  readonly #table = element("table", "lane-table");
  readonly #body = element("tbody");
  readonly #rows = new Map<string, LaneLink>();
  readonly #dead: DeadList;
  readonly #batches: BatchList;

  /** @param onChange called when dead letters were retried or purged */
  constructor(session: Session, dialog: ConfirmDialog, onChange: () => void) {
    this.#batches = new BatchList(session);
    this.#dead = new DeadList(session, dialog, onChange);
    const title = element("h2", "durable-title", "Durable jobs");
    title.id = "durable-title";
    const head = element("tr");
    const pool = element("th", "lane-pool", "Pool");
    pool.scope = "col";
    head.append(pool);
    for (const [id, text, meaning] of COLUMNS) {
      const cell = element("th", `lane-${id}`, text);
      cell.scope = "col";
      cell.title = meaning;
      head.append(cell);
    }
    setAttribute(this.#table, "aria-labelledby", title.id);
    this.#table.append(element("thead", "", head), this.#body);
    this.#tab.append(this.#tabDead);
    this.#root.append(title, this.#warnings, this.#table, this.#note, this.#batches.root, this.#dead.root);
  }

  update(state: PageState): void {
    const isShown = state.route.view === "durable";
    this.#tab.hidden = !hasLaneTab(state);
    setAttribute(this.#tab, "aria-current", isShown ? "page" : undefined);
    const lanes = state.lanes?.value;
    const rows = lanes === undefined ? [] : laneRows(lanes, Date.now());
    const total = laneTotal(rows);
    setText(this.#tabDead, total.dead === 0 ? "" : ` ${count(total.dead)} dead`);
    if (!isShown) return;
    this.#table.hidden = rows.length === 0;
    setText(this.#note, noteOf(state, rows.length));
    this.#updateWarnings(lanes === undefined ? [] : streamWarnings(lanes));
    this.#updateRows(rows.length > 1 ? [total, ...rows] : rows, state.pool);
    const chosen = rows.find(({ pool }) => pool === state.pool) ?? (rows.length === 1 ? rows[0] : undefined);
    this.#batches.update(chosen?.pool ?? "");
    this.#dead.update(chosen?.pool ?? "", chosen?.dead ?? 0, state.control);
  }

  #updateWarnings(texts: readonly string[]): void {
    const key = texts.join("\n");
    if (this.#warnings.dataset.said === key) return;
    this.#warnings.dataset.said = key;
    this.#warnings.hidden = texts.length === 0;
    this.#warnings.replaceChildren(
      ...texts.slice(0, 4).map((text) => element("li", "warning amber", plainText(text, 300))),
    );
  }

  #updateRows(rows: readonly LaneRow[], chosen: string): void {
    const names = new Set(rows.map(({ pool }) => pool));
    for (const [pool, row] of this.#rows) {
      if (names.has(pool)) continue;
      row.root.remove();
      this.#rows.delete(pool);
    }
    rows.forEach((row, index) => {
      let link = this.#rows.get(row.pool);
      if (link === undefined) {
        link = new LaneLink(row.pool);
        this.#rows.set(row.pool, link);
      }
      const next = this.#body.children[index] ?? null;
      if (next !== link.root) this.#body.insertBefore(link.root, next);
      link.update(row, row.pool === chosen);
    });
  }
}

class LaneLink {
  readonly root = element("tr", "lane-row");
  readonly #link = element("a");
  readonly #paused = element("span", "lane-paused");
  readonly #cells = COLUMNS.map(([id]) => [id, element("td", `lane-${id}`)] as const);

  constructor(pool: string) {
    const name = element("th", "lane-pool", this.#link, this.#paused);
    name.scope = "row";
    name.title = plainText(pool);
    this.#link.href = durableHash(pool);
    setText(this.#link, pool === "" ? "All pools" : plainText(pool));
    COLUMNS.forEach(([, title], i) => {
      const cell = this.#cells[i]?.[1];
      if (cell !== undefined) cell.dataset.title = title;
    });
    this.root.append(name, ...this.#cells.map(([, cell]) => cell));
  }

  update(row: LaneRow, isChosen: boolean): void {
    setAttribute(this.#link, "aria-current", isChosen ? "page" : undefined);
    setText(this.#paused, row.paused);
    for (const [id, cell] of this.#cells) {
      setText(cell, id === "oldest" ? oldestText(row) : count(row[id]));
      if (id === "dead") setAttribute(cell, "data-tone", row.dead > 0 ? "coral" : undefined);
    }
  }
}

function noteOf(state: PageState, lanes: number): string {
  if (state.lanesFailure !== "") return `The lanes cannot be read now: ${plainText(state.lanesFailure, 200)}`;
  if (lanes > 0) return "";
  if (!state.durable) return "This meter shows no durable lane. Start it with --durable.";
  if (state.lanes === undefined) return "Asking for the lanes …";
  return hasLane(state)
    ? "No pool has enqueued a job yet."
    : "This broker has no durable lane. Start a manager with --durable.";
}
