/**
 * The pools as a list of links, each with a small level, the hottest first.
 *
 * The order rests while the pointer is over the list or the keyboard is in it. On a narrow screen
 * the list is behind a button that names the chosen pool. On the view of all pools it is open, unless
 * it is so long that the warnings and figures below it would be out of sight.
 */

import { count, percent, plural, rate } from "../../../../browser/format.js";
import { PoolOrder } from "../../../../browser/order-pools.js";
import { poolWarnings, severity } from "../../../../browser/pool-health.js";
import type { PoolCapacity } from "../../../../browser.js";
import { plainText } from "../../../../mesh/plain-text.js";
import { byId, element, setAttribute, setText } from "../element.js";
import type { PageState } from "../page-state.js";
import { poolHash } from "../route.js";

/** From so many pools on each takes one line, and a second one only for what is wrong. */
const COMPACT_FROM = 9;
/** Warnings of one pool in the list. */
const MOST_SHORT = 4;

type ShownPool = Omit<PoolCapacity, "$typeName">;

/** Keeps the list of pools current. */
export class PoolList {
  readonly #nav = byId("pools-nav");
  readonly #list = byId("pools");
  readonly #toggle = byId<HTMLButtonElement>("pools-toggle");
  readonly #items = new Map<string, PoolItem>();
  readonly #order = new PoolOrder();
  #pointed = false;
  #shown: string | undefined;

  constructor() {
    this.#list.addEventListener("pointerenter", ({ pointerType }) => {
      this.#pointed = pointerType === "mouse";
    });
    this.#list.addEventListener("pointerleave", () => {
      this.#pointed = false;
    });
    this.#toggle.addEventListener("click", () => this.#open(this.#toggle.ariaExpanded !== "true"));
    this.#list.addEventListener("click", ({ target }) => {
      if (target instanceof Element && target.closest("a") !== null) this.#open(false);
    });
  }

  update(state: PageState, nowMs: number): void {
    const { total, pools: heard = new Map<string, PoolCapacity>() } = state.capacity ?? {};
    const hold = this.#pointed || this.#list.querySelector(":focus-visible") !== null;
    const pools: ShownPool[] = this.#order.arrange(heard.values(), nowMs, hold);
    const wanted = total === undefined || pools.length === 0 ? [] : [{ ...total, pool: "" }, ...pools];
    this.#dropOthers(new Set(wanted.map(({ pool }) => pool)));
    setAttribute(this.#list, "data-compact", pools.length >= COMPACT_FROM ? "" : undefined);
    const chosen = state.route.view === "durable" ? undefined : state.pool;
    wanted.forEach((capacity, index) => {
      const item = this.#item(capacity.pool);
      if (this.#list.children[index] !== item.root) {
        this.#list.insertBefore(item.root, this.#list.children[index] ?? null);
      }
      item.update(capacity, capacity.pool === chosen, pools.length);
    });
    this.#updateToggle(state, pools);
  }

  #updateToggle(state: PageState, pools: readonly ShownPool[]): void {
    this.#toggle.hidden = pools.length === 0;
    const name = state.pool === "" ? "All pools" : plainText(state.pool);
    setText(this.#toggle, `${name} · ${poolCount(pools)}`);
    const isLong = pools.length >= COMPACT_FROM;
    const shown = `${state.route.view}:${state.pool}:${isLong}`;
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#open(state.route.view === "pool" && state.pool === "" && !isLong);
  }

  #open(open: boolean): void {
    setAttribute(this.#toggle, "aria-expanded", String(open));
    setAttribute(this.#nav, "data-open", open ? "" : undefined);
  }

  #dropOthers(names: ReadonlySet<string>): void {
    for (const [name, item] of this.#items) {
      if (names.has(name)) continue;
      item.root.remove();
      this.#items.delete(name);
    }
  }

  #item(pool: string): PoolItem {
    let item = this.#items.get(pool);
    if (item === undefined) {
      item = new PoolItem(pool);
      this.#items.set(pool, item);
    }
    return item;
  }
}

/** How many there are, and how many of them want to be looked at: short, since it stands on one line of a phone. */
function poolCount(pools: readonly ShownPool[]): string {
  const troubled = pools.filter((pool) => severity(pool) > 1).length;
  if (troubled === 0) return plural(pools.length, "pool");
  return `${count(troubled)} of ${count(pools.length)} ${troubled === 1 ? "needs" : "need"} a look`;
}

/** One pool's entry. */
class PoolItem {
  readonly root = element("li");
  readonly #link = element("a", "pool");
  readonly #name = element("span", "pool-name");
  readonly #share = element("span", "pool-share");
  readonly #level = element("span", "level");
  readonly #detail = element("span", "pool-detail");
  readonly #alarm = element("span", "pool-alarm");

  constructor(pool: string) {
    this.#link.href = poolHash(pool);
    const fill = element("span", "level-fill");
    this.#level.append(fill);
    this.#level.setAttribute("aria-hidden", "true");
    this.#link.append(this.#name, this.#share, this.#level, this.#detail, this.#alarm);
    this.root.append(this.#link);
    setText(this.#name, pool === "" ? "All pools" : plainText(pool));
    setAttribute(this.#name, "title", pool === "" ? undefined : plainText(pool));
  }

  update(capacity: ShownPool, chosen: boolean, pools: number): void {
    setAttribute(this.#link, "aria-current", chosen ? "page" : undefined);
    setText(this.#share, capacity.slots === 0 ? "no slots" : percent(capacity.utilization));
    const level = String(capacity.slots === 0 ? 0 : capacity.utilization);
    if (this.#level.style.getPropertyValue("--level") !== level) this.#level.style.setProperty("--level", level);
    const of =
      capacity.pool === "" ? plural(pools, "pool") : `${count(capacity.busy)} of ${count(capacity.slots)} busy`;
    setText(this.#detail, `${of} · ${rate(capacity.jobsPerSecond)}/s`);
    this.#updateAlarms(capacity);
  }

  #updateAlarms(capacity: ShownPool): void {
    const said = poolWarnings(capacity).slice(0, MOST_SHORT);
    setAttribute(this.#link, "data-severity", String(capacity.pool === "" ? 0 : severity(capacity)));
    const key = said.map(({ short }) => short).join();
    if (this.#alarm.dataset.said === key) return;
    this.#alarm.dataset.said = key;
    this.#alarm.replaceChildren(...said.map(({ short, tone }) => element("span", tone, short)));
  }
}
