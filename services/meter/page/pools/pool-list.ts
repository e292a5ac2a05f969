/** The pools as a list of links, each with a small level; the chosen one is in the address (#pool). */

import { count, percent, plural, rate } from "../../../../browser/format.js";
import type { PoolCapacity } from "../../../../browser.js";
import { plainText } from "../../../../mesh/plain-text.js";
import { byId, element, setAttribute, setText } from "../element.js";
import type { PageState } from "../page-state.js";

/** The address of a pool's view. */
export function poolHash(pool: string): string {
  return pool === "" ? "#" : `#${encodeURIComponent(pool)}`;
}

/** The pool that an address names; empty for all. */
export function poolOfHash(hash: string): string {
  try {
    return decodeURIComponent(hash.replace(/^#/, ""));
  } catch {
    return "";
  }
}

/** Keeps the list of pools current. */
export class PoolList {
  readonly #list = byId("pools");
  readonly #items = new Map<string, PoolItem>();

  update(state: PageState): void {
    const pools = [...(state.capacity?.pools.values() ?? [])].sort((a, b) => (a.pool < b.pool ? -1 : 1));
    const wanted = [
      ...(state.capacity?.total === undefined || pools.length === 0 ? [] : [{ ...state.capacity.total, pool: "" }]),
      ...pools,
    ];
    const names = new Set(wanted.map((each) => each.pool));
    for (const [name, item] of this.#items) {
      if (names.has(name)) continue;
      item.root.remove();
      this.#items.delete(name);
    }
    wanted.forEach((capacity, index) => {
      const item = this.#item(capacity.pool);
      if (this.#list.children[index] !== item.root)
        this.#list.insertBefore(item.root, this.#list.children[index] ?? null);
      item.update(capacity, capacity.pool === state.pool, pools.length);
    });
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
  }

  update(capacity: PoolCapacity | Omit<PoolCapacity, "$typeName">, chosen: boolean, pools: number): void {
    setAttribute(this.#link, "aria-current", chosen ? "page" : undefined);
    setText(this.#share, capacity.slots === 0 ? "no slots" : percent(capacity.utilization));
    const level = String(capacity.slots === 0 ? 0 : capacity.utilization);
    if (this.#level.style.getPropertyValue("--level") !== level) this.#level.style.setProperty("--level", level);
    const of = capacity.pool === "" ? plural(pools, "pool") : `${capacity.busy} of ${capacity.slots} busy`;
    setText(this.#detail, `${of} · ${rate(capacity.jobsPerSecond)}/s`);
    this.#updateAlarms(capacity);
  }

  #updateAlarms(capacity: Omit<PoolCapacity, "$typeName">): void {
    const said = alarms(capacity);
    const key = said.map(({ text }) => text).join();
    if (this.#alarm.dataset.said === key) return;
    this.#alarm.dataset.said = key;
    this.#alarm.replaceChildren(...said.map(({ text, tone }) => element("span", tone, text)));
  }
}

function alarms(capacity: Omit<PoolCapacity, "$typeName">): { text: string; tone: "coral" | "amber" }[] {
  const said: { text: string; tone: "coral" | "amber" }[] = [];
  const lost = capacity.workers?.lost ?? 0;
  const draining = capacity.workers?.draining ?? 0;
  if (lost > 0) said.push({ text: `${lost} lost`, tone: "coral" });
  if (capacity.conflicts > 0) said.push({ text: plural(capacity.conflicts, "conflict"), tone: "coral" });
  if (draining > 0) said.push({ text: `${draining} draining`, tone: "amber" });
  if (capacity.managers === 0) said.push({ text: "no manager", tone: "amber" });
  if (capacity.parked > 0) said.push({ text: `${count(capacity.parked)} parked`, tone: "amber" });
  return said;
}
