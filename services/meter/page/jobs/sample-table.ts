/** A short list of jobs. It updates only what differs. */
import { stateText } from "../../../../browser/job-words.js";
import type { JobView } from "../../../../gen/poolmesh/v1/job_pb.js";
import { isLive } from "../../../../mesh/job/job-views.js";
import { plainText } from "../../../../mesh/plain-text.js";
import { element, setAttribute, setText } from "../element.js";
import { jobHash, workerHash } from "../route.js";
import { endedAgo, time, toneOf } from "./outcome-words.js";

/** The columns, in the order in which they stand. */
const COLUMNS = ["outcome", "job", "worker", "wait", "total", "ended"] as const;
type Column = (typeof COLUMNS)[number];
const TITLES: Readonly<Record<Column, string>> = {
  outcome: "Outcome",
  job: "Job",
  worker: "Worker",
  wait: "Waited",
  total: "Took",
  ended: "Ended",
};

/** A titled list. */
export class SampleTable {
  readonly root = element("section", "samples");
  readonly #table = element("table", "sample-table");
  readonly #body = element("tbody");
  readonly #none: HTMLElement;
  readonly #rows: SampleRow[] = [];

  /** @param whenEmpty said of an empty list */
  constructor(
    title: string,
    note: string,
    readonly whenEmpty: string,
  ) {
    const heading = element("h4", "samples-title", title, " ", element("span", "samples-note", note));
    this.#none = element("p", "samples-none");
    const head = element("tr");
    for (const column of COLUMNS) {
      const cell = element("th", `sample-${column}`, TITLES[column]);
      cell.scope = "col";
      head.append(cell);
    }
    heading.id = `samples-${title.toLowerCase().replace(/\W+/g, "-")}`;
    setAttribute(this.#table, "aria-labelledby", heading.id);
    this.#table.append(element("thead", "", head), this.#body);
    this.root.append(heading, this.#table, this.#none);
  }

  /**
   * @param wallMs the meter's wall clock, milliseconds since the epoch
   * @param isWhole whether all managers have answered: otherwise an empty list says nothing about jobs
   */
  update(pool: string, jobs: readonly JobView[], wallMs: number, isWhole: boolean): void {
    this.#table.hidden = jobs.length === 0;
    setText(this.#none, isWhole ? this.whenEmpty : "Not known.");
    this.#none.hidden = jobs.length > 0;
    while (this.#rows.length < jobs.length) {
      const row = new SampleRow();
      this.#rows.push(row);
      this.#body.append(row.root);
    }
    while (this.#rows.length > jobs.length) this.#rows.pop()?.root.remove();
    jobs.forEach((job, i) => {
      this.#rows[i]?.update(pool, job, wallMs);
    });
  }
}

class SampleRow {
  readonly root = element("tr");
  readonly #cells: Readonly<Record<Column, HTMLTableCellElement>>;
  readonly #outcome = element("span", "sample-word");
  readonly #message = element("span", "sample-message");
  readonly #job = element("a");
  readonly #worker = element("a");

  constructor() {
    const cells = COLUMNS.map(
      (column) => [column, element(column === "job" ? "th" : "td", `sample-${column}`)] as const,
    );
    this.#cells = Object.fromEntries(cells) as Record<Column, HTMLTableCellElement>;
    this.#cells.job.scope = "row";
    this.#cells.outcome.append(this.#outcome, " ", this.#message);
    this.#cells.job.append(this.#job);
    this.#cells.worker.append(this.#worker);
    this.root.append(...cells.map(([, cell]) => cell));
  }

  update(pool: string, job: JobView, wallMs: number): void {
    const { jobId, worker, attempt, error, waitMs, totalMs } = job;
    const { code = "", message = "" } = error ?? {};
    const outcome = stateText(job);
    setAttribute(this.#outcome, "class", `sample-word ${toneOf(outcome)}`);
    const words = [outcome, ...(code === "" ? [] : [code]), ...(attempt > 1 ? [`attempt ${attempt}`] : [])];
    setText(this.#outcome, plainText(words.join(" · "), 120));
    setText(this.#message, plainText(message, 200));
    setAttribute(this.#cells.outcome, "title", message === "" ? undefined : plainText(message, 200));
    setText(this.#job, plainText(jobId, 64));
    setAttribute(this.#job, "href", jobHash(pool, jobId));
    setAttribute(this.#cells.job, "title", plainText(jobId, 64));
    setText(this.#worker, worker === "" ? "–" : plainText(worker, 64));
    setAttribute(this.#worker, "href", worker === "" ? undefined : workerHash(pool, worker));
    setText(this.#cells.wait, time(waitMs));
    setText(this.#cells.total, time(totalMs));
    setText(this.#cells.ended, !isLive(job) ? endedAgo(job, wallMs) : "–");
  }
}
