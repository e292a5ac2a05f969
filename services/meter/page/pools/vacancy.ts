/** What is shown while there are no workers to show: not yet connected, no workers, or an unknown pool. */
import { plainText } from "../../../../mesh/plain-text.js";
import { byId, element, setAttribute } from "../element.js";
import { chosenCapacity, connectionNow, hasData, type PageState, workerCount } from "../page-state.js";

/** The case; undefined when there are workers to show. */
export type Vacancy = "connecting" | "refused" | "unreachable" | "no workers" | "no such pool" | undefined;

/** Decides the case. Pure. */
export function vacancyOf(state: PageState): Vacancy {
  if (!hasData(state)) {
    const connection = connectionNow(state);
    if (connection.state === "disconnected" && !Number.isFinite(connection.retryInMs)) return "refused";
    const first = connection.state === "connecting" && connection.attempt === 1;
    return first || connection.state === "live" ? "connecting" : "unreachable";
  }
  if (state.route.view === "durable") return undefined;
  if (state.pool !== "" && chosenCapacity(state) === undefined) return "no such pool";
  if (state.route.view !== "pool") return undefined;
  return isActive(chosenCapacity(state)) ? undefined : "no workers";
}

/** Whether there is something to show: workers, or jobs without any. Their callers hear errors, which are listed then. */
function isActive(capacity: ReturnType<typeof chosenCapacity>): boolean {
  const { parked = 0, endedLastMinute = 0n } = capacity ?? {};
  return workerCount(capacity) > 0 || parked > 0 || endedLastMinute > 0n;
}

/** The part of the page that a route shows. */
const VIEWS = { pool: "content", worker: "worker", job: "job", durable: "durable" } as const;

/** Draws it. */
export class VacancyPanel {
  readonly #root = byId("vacancy");
  readonly #views = ["content", "worker", "job", "durable"].map((id) => byId(id));
  #drawn: string | undefined;

  update(state: PageState): void {
    const vacancy = vacancyOf(state);
    for (const view of this.#views) view.hidden = vacancy !== undefined || view.id !== VIEWS[state.route.view];
    this.#root.hidden = vacancy === undefined;
    const key = `${vacancy}:${state.pool}`;
    if (key === this.#drawn) return;
    this.#drawn = key;
    setAttribute(this.#root, "data-vacancy", vacancy);
    this.#root.replaceChildren(...(vacancy === undefined ? [] : draw(vacancy, state.pool)));
  }
}

function draw(vacancy: Exclude<Vacancy, undefined>, pool: string): Node[] {
  switch (vacancy) {
    case "connecting":
      return [
        mesh(),
        element("h2", "", "Connecting to the meter"),
        element("p", "", "The first heartbeats arrive within a second."),
      ];
    case "refused":
      return [
        mesh(),
        element("h2", "", "The meter refuses this page"),
        element("p", "", "With a token of the role viewer it shows the pools."),
      ];
    case "unreachable":
      return [
        mesh(),
        element("h2", "", "The meter does not answer"),
        element("p", "", "This page keeps trying and shows the pools as soon as the meter answers."),
      ];
    case "no such pool":
      return [
        mesh(),
        element("h2", "", `No worker or manager has named pool ${plainText(pool)}`),
        element("p", "", "A pool appears with its first worker or its first parked job. Start a worker with"),
        command(`poolmesh worker --pool ${plainText(pool)} --handler ./handler.ts --slots 4`),
      ];
    case "no workers":
      return [
        mesh(),
        element("h2", "", pool === "" ? "No workers yet" : `No workers in pool ${plainText(pool)}`),
        element("p", "", "Start one with"),
        command(`poolmesh worker --pool ${pool === "" ? "adder" : plainText(pool)} --handler ./handler.ts --slots 4`),
        element("p", "aside", "It appears here with its first heartbeat. Workers may be written in any language."),
      ];
  }
}

function mesh(): HTMLElement {
  const cells = Array.from({ length: 9 }, () => element("span", "cell"));
  const root = element("div", "vacancy-mesh", ...cells);
  root.setAttribute("aria-hidden", "true");
  return root;
}

function command(text: string): HTMLElement {
  // A line may end between two words, and not within a flag or a path.
  const words = text.split(" ").map((word) => element("span", "command-word", word));
  const code = element("code", "", ...words.flatMap((word, i) => (i === 0 ? [word] : [" ", word])));
  code.tabIndex = 0;
  return element("p", "command", element("span", "prompt", "$ "), code);
}
