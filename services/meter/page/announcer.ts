/** Tells screen readers what matters: changes of the connection and workers in trouble, not every number. */
import { plural } from "../../../browser/format.js";
import type { StateWord, WorkerRow } from "../../../browser/worker-row.js";
import { byId, setText } from "./element.js";

const TOLD: readonly StateWord[] = ["lost", "draining", "paused"];

/** What happened to workers between two snapshots, in one sentence; empty when nothing is worth saying. Pure. */
export function changesSaid(before: ReadonlyMap<string, StateWord>, rows: readonly WorkerRow[]): string {
  const news = new Map<StateWord, string[]>();
  for (const row of rows) {
    const was = before.get(row.key);
    if (was === undefined || was === row.state) continue;
    const told = TOLD.includes(row.state) || (TOLD.includes(was) && row.state === "ready");
    if (told) news.set(row.state, [...(news.get(row.state) ?? []), row.worker]);
  }
  const parts = [...news].map(([state, names]) => {
    return names.length <= 3 ? `${names.join(", ")} ${state}` : `${plural(names.length, "worker")} ${state}`;
  });
  return parts.join("; ");
}

/** Announces at most once a second. */
export class Announcer {
  readonly #root = byId("announcer");
  #states = new Map<string, StateWord>();
  #pill = "";

  /** @param connection the connection's word, without a number in it */
  update(rows: readonly WorkerRow[], connection: string): void {
    const said = changesSaid(this.#states, rows);
    this.#states = new Map(rows.map((row) => [row.key, row.state]));
    const parts = connection === this.#pill ? [said] : [`Connection ${connection}`, said];
    this.#pill = connection;
    const sentence = parts.filter((part) => part !== "").join(". ");
    if (sentence !== "") setText(this.#root, sentence);
  }
}
