/**
 * How the chosen pool's jobs end: outcomes and times of the last minute, the lane of times, and
 * the jobs to look at, as managers know them.
 */
import { count, percent } from "../../../../browser/format.js";
import { failureShare } from "../../../../browser/pool-health.js";
import type { GetJobStatsResponse } from "../../../../gen/poolmesh/v1/meter_pb.js";
import { plainText } from "../../../../mesh/plain-text.js";
import { byId, element, setText } from "../element.js";
import type { PageState } from "../page-state.js";
import { type JobLists, wallOf } from "./ask-jobs.js";
import { endsOf, outcomeCounts, quantileText } from "./outcome-words.js";
import { SampleTable } from "./sample-table.js";
import { TimesChart } from "./times-chart.js";

const ROWS = [
  ["wait", "Waited"],
  ["run", "Ran"],
  ["total", "Took"],
] as const;
const QUANTILES = ["p50Ms", "p95Ms", "p99Ms"] as const;

/** The section "Jobs". */
export class JobPanel {
  readonly #root = byId("jobs");
  readonly #summary = element("p", "jobs-summary");
  readonly #outcomes = element("ul", "outcomes");
  readonly #cells = new Map<string, HTMLTableCellElement>();
  readonly #chart = new TimesChart();
  readonly #failures = new SampleTable("Last failures", "newest first", "No manager remembers one.");
  readonly #slowest = new SampleTable("Slowest", "of the last minute", "No job ended in the last minute.");
  readonly #recent = new SampleTable("Recent", "newest first", "No manager has or remembers one.");
  readonly #note = element("p", "samples-none");
  readonly #lists: HTMLElement;
  #drawn: GetJobStatsResponse | undefined;

  constructor() {
    const title = element("h3", "eyebrow", "Jobs");
    title.id = "jobs-title";
    const left = element("div", "jobs-outcomes", this.#summary, this.#outcomes);
    const pair = element("div", "sample-pair", this.#slowest.root, this.#recent.root);
    this.#lists = element("div", "", this.#failures.root, pair);
    this.#root.append(
      element("div", "jobs-head", title, " ", element("span", "shown", "last minute")),
      element("div", "jobs-figures", left, this.#times()),
      this.#chart.root,
      this.#lists,
      this.#note,
    );
  }

  update(state: PageState, nowMs: number): void {
    const told = state.jobs;
    this.#root.hidden = told === undefined || state.pool === "";
    if (told === undefined || state.pool === "") return;
    const { stats, lists, failure } = told.value;
    const wallMs = wallOf(stats) + nowMs - told.atMs;
    this.#lists.hidden = lists === undefined;
    const isWhole = (lists?.silent ?? []).length === 0;
    this.#failures.update(state.pool, lists?.failures ?? [], wallMs, isWhole);
    this.#slowest.update(state.pool, lists?.slowest ?? [], wallMs, isWhole);
    this.#recent.update(state.pool, lists?.recent ?? [], wallMs, isWhole);
    setText(this.#note, noteOf(lists, failure));
    if (stats === this.#drawn) return;
    this.#drawn = stats;
    this.#chart.update(stats);
    this.#updateOutcomes(stats);
    for (const [timed] of ROWS) {
      for (const quantile of QUANTILES) {
        const cell = this.#cells.get(`${timed}.${quantile}`);
        if (cell !== undefined) setText(cell, quantileText(stats[timed], quantile));
      }
    }
  }

  #updateOutcomes({ outcomes }: GetJobStatsResponse): void {
    const counts = outcomeCounts(outcomes);
    const { ended, failed } = endsOf(counts);
    const share = failureShare({ endedLastMinute: BigInt(ended), failedLastMinute: BigInt(failed) });
    setText(
      this.#summary,
      share === undefined ? "No job ended." : `${count(failed)} of ${count(ended)} failed: ${percent(share)}`,
    );
    const items = counts.map(({ outcome, count: number, tone }) =>
      element("li", `outcome ${tone}`, element("span", "outcome-count", count(number)), ` ${outcome}`),
    );
    this.#outcomes.replaceChildren(...items);
    this.#outcomes.hidden = items.length === 0;
  }

  #times(): HTMLElement {
    const head = element("tr", "", element("td"));
    for (const name of ["p50", "p95", "p99"]) {
      const cell = element("th", "", name);
      cell.scope = "col";
      head.append(cell);
    }
    const body = element("tbody");
    for (const [timed, title] of ROWS) {
      const name = element("th", "", title);
      name.scope = "row";
      const row = element("tr", "", name);
      for (const quantile of QUANTILES) {
        const cell = element("td");
        this.#cells.set(`${timed}.${quantile}`, cell);
        row.append(cell);
      }
      body.append(row);
    }
    const table = element("table", "quantiles", element("thead", "", head), body);
    table.setAttribute("aria-label", "How long jobs took");
    return table;
  }
}

function noteOf(lists: JobLists | undefined, failure: string): string {
  if (failure !== "") return `The jobs cannot be listed now: ${plainText(failure, 200)}`;
  const { silent = [] } = lists ?? {};
  return silent.length === 0
    ? ""
    : `No answer from ${plainText(silent.slice(0, 4).join(", "), 200)}: their jobs are missing.`;
}
