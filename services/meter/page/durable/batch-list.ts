/** The batches of one pool that are not completed: how many of their jobs have an outcome, and how many failed. */
import { age, count } from "../../../../browser/format.js";
import type { Batch, ListBatchesResponse } from "../../../../gen/poolmesh/v1/durable_pb.js";
import { plainText } from "../../../../mesh/plain-text.js";
import type { Session } from "../control/session.js";
import { element, setAttribute, setText } from "../element.js";
import { ASK_TIMEOUT_MS, Poll } from "../poll.js";

const PAGE_SIZE = 50;
const EVERY_MS = 5_000;

const COLUMNS = [
  ["name", "Batch"],
  ["done", "Done"],
  ["failed", "Failed"],
  ["since", "Since"],
] as const;

/** Draws them, and asks for them while they are shown. */
export class BatchList {
  readonly root = element("section", "batches");
  readonly #session: Session;
  readonly #title = element("h3", "eyebrow");
  readonly #table = element("table", "batch-table");
  readonly #body = element("tbody");
  readonly #poll: Poll<ListBatchesResponse>;
  #pool = "";

  constructor(session: Session) {
    this.#session = session;
    this.#title.id = "batches-title";
    const head = element("tr");
    for (const [id, title] of COLUMNS) {
      const cell = element("th", `batch-${id}`, title);
      cell.scope = "col";
      head.append(cell);
    }
    setAttribute(this.#table, "aria-labelledby", this.#title.id);
    this.#table.append(element("thead", "", head), this.#body);
    this.root.append(this.#title, this.#table);
    this.root.hidden = true;
    this.#poll = new Poll({
      everyMs: EVERY_MS,
      ask: () => this.#ask(),
      // What cannot be read now is as it was.
      hear: (told) => told !== undefined && this.#draw(told.value),
    });
  }

  /** @param pool "" for none */
  update(pool: string): void {
    if (pool !== this.#pool) {
      this.#pool = pool;
      this.#draw(undefined);
      this.#poll.restart();
    } else this.#poll.tick();
  }

  #ask(): Promise<ListBatchesResponse> | undefined {
    const pool = this.#pool;
    if (pool === "") return undefined;
    return this.#session.lane.listBatches({ pool, pageSize: PAGE_SIZE, openOnly: true }, { timeoutMs: ASK_TIMEOUT_MS });
  }

  #draw(answer: ListBatchesResponse | undefined): void {
    const batches = answer?.batches ?? [];
    this.root.hidden = batches.length === 0;
    const more = answer?.nextPageToken ? ` · the first ${count(batches.length)}` : ` · ${count(batches.length)}`;
    setText(this.#title, `Open batches of ${plainText(this.#pool)}${more}`);
    this.#body.replaceChildren(...batches.map(rowOf));
  }
}

function rowOf(batch: Batch): HTMLElement {
  const name = element("th", "batch-name", plainText(batch.batchId));
  name.scope = "row";
  const done = element("td", "batch-done", doneText(batch));
  const failed = element("td", "batch-failed", count(batch.failed));
  setAttribute(failed, "data-tone", batch.failed > 0 ? "coral" : undefined);
  const openedMs = Number(batch.openedAt?.seconds ?? 0n) * 1_000;
  const since = element("td", "batch-since", age(Math.max(0, Date.now() - openedMs)));
  const cells: [HTMLElement, string][] = [
    [done, "Done"],
    [failed, "Failed"],
    [since, "Since"],
  ];
  for (const [cell, title] of cells) cell.dataset.title = title;
  return element("tr", "batch-row", name, done, failed, since);
}

/** "12 of 40"; "12 so far" while jobs are added. */
function doneText({ succeeded, failed, canceled, total }: Batch): string {
  const done = succeeded + failed + canceled;
  return total === undefined ? `${count(done)} so far` : `${count(done)} of ${count(total)}`;
}
