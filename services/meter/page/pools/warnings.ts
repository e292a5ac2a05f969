/** What is wrong with the chosen pool, or with any pool, in sentences at the head of the page. */
import { plural } from "../../../../browser/format.js";
import { byHeat } from "../../../../browser/order-pools.js";
import { type PoolFigures, type PoolWarning, poolWarnings, severity } from "../../../../browser/pool-health.js";
import { plainText } from "../../../../mesh/plain-text.js";
import { byId, element, setText } from "../element.js";
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

/** A sentence as it is drawn. */
interface DrawnWarning {
  readonly item: HTMLElement;
  readonly text: HTMLElement;
}

/** Draws them. A sentence whose figures change keeps its element: its link can be clicked, and keeps the focus. */
export class Warnings {
  readonly #root = byId("warnings");
  readonly #more = element("li", "more");
  /** By pool and kind. */
  readonly #items = new Map<string, DrawnWarning>();
  #listed = "";

  update(state: PageState): void {
    const outcomes = state.pool === "" ? undefined : state.jobs?.value.stats.outcomes;
    const { shown, more } = pageWarnings(state.pool, state.capacity?.pools.values() ?? [], outcomes);
    const keys = shown.map(({ pool, kind }) => `${pool} ${kind}`);
    for (const [i, warning] of shown.entries()) this.#set(keys[i] as string, warning);
    setText(this.#more, `… and ${plural(more, "pool")} more: see the list of pools.`);
    const listed = [...keys, ...(more > 0 ? ["more"] : [])].join("\n");
    if (listed === this.#listed) return;
    this.#listed = listed;
    for (const key of [...this.#items.keys()]) if (!keys.includes(key)) this.#items.delete(key);
    this.#root.hidden = shown.length === 0;
    const items = keys.flatMap((key) => this.#items.get(key)?.item ?? []);
    this.#root.replaceChildren(...items, ...(more > 0 ? [this.#more] : []));
  }

  #set(key: string, warning: PageWarning): void {
    const drawn = this.#items.get(key) ?? draw(warning);
    this.#items.set(key, drawn);
    drawn.item.className = `warning ${warning.tone}`;
    setText(drawn.text, warning.text);
  }
}

function draw({ pool, kind }: PageWarning): DrawnWarning {
  const item = element("li");
  item.dataset.kind = kind;
  if (pool !== "") {
    const link = element("a", "warning-pool", plainText(pool));
    link.href = poolHash(pool);
    item.append(link, " ");
  }
  const text = element("span");
  item.append(text);
  return { item, text };
}
