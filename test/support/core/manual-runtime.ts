/** A runtime whose time is a number: it moves when the test says so. */
import type { Runtime } from "../../../mesh/link/runtime.js";

interface Due {
  atMs: number;
  readonly everyMs: number | undefined;
  readonly work: () => void;
}

export class ManualRuntime implements Runtime {
  #nowMs = 0;
  #ids = 0;
  readonly #timers = new Set<Due>();
  #endOfTurn: (() => void)[] = [];

  readonly now = (): number => this.#nowMs;
  readonly wallNow = (): number => 1_700_000_000_000 + this.#nowMs;
  readonly random = (): number => 0.5;
  readonly newId = (): string => {
    this.#ids += 1;
    return `id${this.#ids}`;
  };

  readonly newSecret = (): string => "";

  after(ms: number, work: () => void): object {
    return this.#add({ atMs: this.#nowMs + ms, everyMs: undefined, work });
  }

  every(ms: number, work: () => void): object {
    return this.#add({ atMs: this.#nowMs + ms, everyMs: ms, work });
  }

  endOfTurn(work: () => void): void {
    this.#endOfTurn.push(work);
  }

  cancel(timer: object | undefined): void {
    if (timer !== undefined) this.#timers.delete(timer as Due);
  }

  /** How many timers are running. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Ends the turn: what waits for it runs, and all promises that can settle do. */
  async turn(): Promise<void> {
    const works = this.#endOfTurn;
    this.#endOfTurn = [];
    for (const work of works) work();
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Time passes; each timer fires at its time, with a turn after it. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await this.turn();
    for (let due = this.#next(endMs); due !== undefined; due = this.#next(endMs)) {
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      this.#fire(due);
      await this.turn();
    }
    this.#nowMs = endMs;
  }

  /** The process stands still: time passes and no timer fires, until the next turn. */
  stall(ms: number): void {
    this.#nowMs += ms;
  }

  #add(due: Due): Due {
    this.#timers.add(due);
    return due;
  }

  #next(endMs: number): Due | undefined {
    let next: Due | undefined;
    for (const due of this.#timers) if (due.atMs <= endMs && (next === undefined || due.atMs < next.atMs)) next = due;
    return next;
  }

  #fire(due: Due): void {
    if (due.everyMs === undefined) this.#timers.delete(due);
    else due.atMs = this.#nowMs + due.everyMs;
    due.work();
  }
}
