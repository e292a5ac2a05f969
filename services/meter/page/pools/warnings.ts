/** What is wrong with the chosen pool, or with any pool, in sentences at the head of the page. */
import { plural } from "../../../../browser/format.js";
import { byHeat } from "../../../../browser/order-pools.js";
import { type PoolFigures, type PoolWarning, poolWarnings, severity } from "../../../../browser/pool-health.js";
import { plainText } from "../../../../mesh/plain-text.js";
import { byId, element } from "../element.js";
import { endsOf, outcomeCounts } from "../jobs/outcome-words.js";
import type { PageState } from "../page-state.js";
import { poolHash } from "../route.js";

/** Sentences that are shown at once. */
const MOST_SHOWN = 4;

/** One sentence. */
export interface PageWarning {
  /** The pool it is about, as a link; "" when that is the one on the page. */
  readonly pool: string;
  readonly tone: PoolWarning["tone"];
  readonly kind: PoolWarning["kind"];
  readonly text: string;
}

/**
 * The sentences of a page, the worst first, and how many pools have more. Pure.
 *
 * @param outcomes of the chosen pool's jobs in the last minute, where the page lists them: both say the same figures
 */
export function pageWarnings(
  chosen: string,
  pools: Iterable<PoolFigures>,
  outcomes?: Readonly<Record<string, bigint>>,
): { readonly shown: readonly PageWarning[]; readonly more: number } {
  const mine = [...pools]
    .filter((each) => chosen === "" || each.pool === chosen)
    .map((each) => (outcomes === undefined ? each : { ...each, ...lastMinuteOf(outcomes) }))
    .filter((each) => severity(each) > 0);
  const all = mine.sort(byHeat);
  const said = all.flatMap((capacity) =>
    poolWarnings(capacity)
      .filter(({ text }) => text !== "")
      .map(({ kind, tone, text }) => ({ kind, tone, text, pool: chosen === "" ? capacity.pool : "" })),
  );
  const shown = said.slice(0, MOST_SHOWN);
  return { shown, more: new Set(said.slice(MOST_SHOWN).map(({ pool }) => pool)).size };
}

function lastMinuteOf(outcomes: Readonly<Record<string, bigint>>) {
  const { ended, failed } = endsOf(outcomeCounts(outcomes));
  return { endedLastMinute: BigInt(ended), failedLastMinute: BigInt(failed) };
}

/** Draws them. */
export class Warnings {
  readonly #root = byId("warnings");
  #drawn = "";

  update(state: PageState): void {
    const outcomes = state.pool === "" ? undefined : state.jobs?.value.stats.outcomes;
    const { shown, more } = pageWarnings(state.pool, state.capacity?.pools.values() ?? [], outcomes);
    const key = JSON.stringify([shown, more]);
    if (key === this.#drawn) return;
    this.#drawn = key;
    this.#root.hidden = shown.length === 0;
    const items = shown.map(draw);
    if (more > 0) items.push(element("li", "more", `… and ${plural(more, "pool")} more: see the list of pools.`));
    this.#root.replaceChildren(...items);
  }
}

function draw({ pool, tone, kind, text }: PageWarning): HTMLElement {
  const item = element("li", `warning ${tone}`);
  item.dataset.kind = kind;
  if (pool !== "") {
    const link = element("a", "warning-pool", plainText(pool));
    link.href = poolHash(pool);
    item.append(link, " ");
  }
  item.append(element("span", "", text));
  return item;
}
