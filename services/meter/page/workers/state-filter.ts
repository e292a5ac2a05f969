/** The filter above the table: a box for words, and a switch for each state with its count. */
import { count } from "../../../../browser/format.js";
import { STATE_WORDS, type StateWord, type WorkerRow } from "../../../../browser/worker-row.js";
import { element, glyph, setAttribute, setText } from "../element.js";

/** What the reader chose. */
export interface StateFilterListener {
  readonly onText: (text: string) => void;
  readonly onStates: (states: ReadonlySet<StateWord>) => void;
}

/** Draws the filter and reports what the reader chose. */
export class StateFilter {
  readonly root = element("div", "filter");
  readonly #input = element("input", "filter-box");
  readonly #chips = new Map<StateWord, { button: HTMLButtonElement; count: HTMLElement }>();
  #states: ReadonlySet<StateWord> = new Set();

  constructor(readonly listener: StateFilterListener) {
    this.#input.type = "search";
    this.#input.placeholder = "Filter workers  ( / )";
    this.#input.spellcheck = false;
    this.#input.setAttribute("aria-label", "Filter workers by name, host, state, label or job");
    this.#input.addEventListener("input", () => listener.onText(this.#input.value));
    const group = element("div", "chips");
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "Show only these states");
    group.append(...STATE_WORDS.map((word) => this.#chip(word)));
    this.root.append(group, this.#input);
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Puts words into the box, as if typed. */
  setText(text: string): void {
    this.#input.value = text;
    this.listener.onText(text);
  }

  /** @param rows all workers of the pool */
  update(rows: readonly WorkerRow[]): void {
    const counts = new Map<StateWord, number>();
    for (const row of rows) counts.set(row.state, (counts.get(row.state) ?? 0) + 1);
    for (const [word, chip] of this.#chips) {
      const number = counts.get(word) ?? 0;
      chip.button.hidden = number === 0 && !this.#states.has(word);
      setText(chip.count, count(number));
    }
  }

  #chip(word: StateWord): HTMLButtonElement {
    const shown = element("span", "chip-count", "0");
    const button = element("button", "chip", glyph(word), `${word} `, shown);
    button.type = "button";
    button.hidden = true;
    setAttribute(button, "data-state", word);
    setAttribute(button, "aria-pressed", "false");
    button.addEventListener("click", () => this.#toggle(word, button));
    this.#chips.set(word, { button, count: shown });
    return button;
  }

  #toggle(word: StateWord, button: HTMLButtonElement): void {
    const states = new Set(this.#states);
    if (!states.delete(word)) states.add(word);
    this.#states = states;
    setAttribute(button, "aria-pressed", String(states.has(word)));
    this.listener.onStates(states);
  }

  #key(event: KeyboardEvent): void {
    const typing = event.target instanceof HTMLInputElement;
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.#input.focus();
    }
    if (event.key === "Escape" && event.target === this.#input) {
      this.setText("");
      this.#input.blur();
    }
  }
}
