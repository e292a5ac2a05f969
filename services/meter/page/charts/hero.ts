/** The head of the page: the chosen pool's utilization, slots, rate and parked jobs. */
import { count, duration, percent, plural, rate } from "../../../../browser/format.js";
import { failureShare, isFailing } from "../../../../browser/pool-health.js";
import type { WorkerRow } from "../../../../browser/worker-row.js";
import { plainText } from "../../../../mesh/plain-text.js";
import { byId, element, setAttribute, setText } from "../element.js";
import { chosenCapacity, type PageState } from "../page-state.js";
import { FieldCanvas } from "./field-canvas.js";

const FACTS = [
  ...["Jobs a second", "Parked", "Oldest wait", "In flight"],
  ...["Failure rate", "Done", "Failed", "Managers"],
] as const;
/** Over which time a figure is, and whose it is. */
const MEANINGS: Readonly<Record<string, string>> = {
  "Jobs a second": "jobs that workers ended, over the last five seconds",
  "Failure rate": "jobs of the last minute that ended otherwise than with a result or a cancel, as managers tell",
  Done: "results of its workers, since the meter saw them first",
  Failed: "failures of its workers, since the meter saw them first",
};
type Fact = (typeof FACTS)[number];

/** The head of the page. */
export class Hero {
  readonly #title = element("h2", "hero-title");
  readonly #number = element("span", "hero-number");
  readonly #unit = element("span", "hero-unit");
  readonly #caption = element("p", "hero-caption");
  readonly #field: FieldCanvas;
  readonly #facts = new Map<Fact, { root: HTMLElement; value: HTMLElement }>();

  /** @param onChoose called with the worker that was clicked in the field */
  constructor(onChoose: (row: WorkerRow) => void) {
    const root = byId("hero");
    this.#title.id = "hero-title";
    this.#field = new FieldCanvas(onChoose);
    const share = element("p", "hero-share", this.#number, this.#unit);
    const list = element("dl", "facts");
    for (const name of FACTS) {
      const value = element("dd", "fact-value");
      const fact = element("div", "fact", element("dt", "fact-name", name), value);
      setAttribute(fact, "title", MEANINGS[name]);
      this.#facts.set(name, { root: fact, value });
      list.append(fact);
    }
    root.append(element("div", "hero-level", this.#title, share, this.#caption), this.#field.root, list);
  }

  /** @param rows the pool's workers in the order of names */
  update(state: PageState, rows: readonly WorkerRow[]): void {
    setText(this.#title, state.pool === "" ? "All pools" : plainText(state.pool));
    this.#field.update(rows);
    const capacity = chosenCapacity(state);
    if (capacity === undefined) return;
    const none = capacity.slots === 0;
    setText(this.#number, none ? "—" : percent(capacity.utilization).replace(/\D+$/, ""));
    setText(this.#unit, none ? "" : " %");
    setText(
      this.#caption,
      none ? "no slot is ready" : `${count(capacity.busy)} of ${plural(capacity.slots, "slot")} busy`,
    );
    this.#fact("Jobs a second", rate(capacity.jobsPerSecond));
    this.#fact("Parked", count(capacity.parked), capacity.parked > 0 ? "amber" : undefined);
    this.#fact("Oldest wait", capacity.parked > 0 ? duration(capacity.oldestWaitMs) : "—");
    this.#fact("In flight", count(capacity.inFlight));
    const share = failureShare(capacity);
    this.#fact("Failure rate", share === undefined ? "—" : percent(share), isFailing(capacity) ? "coral" : undefined);
    this.#fact("Done", count(capacity.jobsDone));
    this.#fact("Failed", count(capacity.jobsFailed));
    this.#fact("Managers", count(capacity.managers), capacity.managers === 0 ? "coral" : undefined);
  }

  #fact(name: Fact, text: string, tone?: string): void {
    const fact = this.#facts.get(name);
    if (fact === undefined) return;
    setText(fact.value, text);
    setAttribute(fact.root, "data-tone", tone);
  }
}
