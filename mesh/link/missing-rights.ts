/**
 * The permissions that a part needs and that the broker refuses, at the start or
 * since they were taken away.
 *
 * Decided here: when a refusal is over. A subscription that was refused is tried
 * again every second. A publish that was refused counts for some time after the last
 * refusal. Not decided here: which refusals count, and what follows from them.
 */
import type { Logger } from "../process/log.js";
import { type BrokerRefusal, refusalIn } from "./broker/refusals.js";
import type { Bus } from "./bus.js";
import type { Timer } from "./runtime.js";
import type { Subscription } from "./subscription.js";

/** So many are told. */
const TOLD_LIMIT = 16;
const RETRY_EVERY_MS = 1_000;

/** What it works with. */
export interface MissingRightsParts {
  readonly bus: Bus;
  readonly log: Logger;
  /** For the log, such as "this worker needs: it takes no jobs". */
  readonly needed: string;
  /** The name of what is missing, "subscribe SUBJECT" or "publish SUBJECT"; undefined for what the part can do without. */
  readonly nameOf: (refusal: BrokerRefusal) => string | undefined;
  /** How long a refused publish counts, in milliseconds. */
  readonly refusedForMs: number;
  /** What the broker may have ended. */
  readonly subscriptions: () => readonly Subscription[];
  /** Something more or less is missing; called again every second while something is. */
  readonly onChange: () => void;
}

export class MissingRights {
  readonly #parts: MissingRightsParts;
  /** What is missing, and when it was refused last. */
  readonly #refusedAtMs = new Map<string, number>();
  readonly #off: () => void;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(parts: MissingRightsParts) {
    this.#parts = parts;
    this.#off = parts.bus.on("error", (error) => this.#onError(error));
  }

  get any(): boolean {
    return this.#refusedAtMs.size > 0;
  }

  /** What is missing, the first 16. */
  get names(): readonly string[] {
    return [...this.#refusedAtMs.keys()].slice(0, TOLD_LIMIT);
  }

  has(name: string): boolean {
    return this.#refusedAtMs.has(name);
  }

  stop(): void {
    this.#stopped = true;
    this.#off();
    this.#parts.bus.runtime.cancel(this.#timer);
  }

  #onError(error: string): void {
    const { bus, log, needed, nameOf, onChange } = this.#parts;
    const refusal = refusalIn(error);
    const name = refusal === undefined ? undefined : nameOf(refusal);
    if (name === undefined || this.#stopped) return;
    const isNew = !this.#refusedAtMs.has(name);
    this.#refusedAtMs.set(name, bus.runtime.now());
    if (!isNew) return;
    log.error({ missing: name }, `the broker refuses what ${needed}`);
    this.#timer ??= bus.runtime.every(RETRY_EVERY_MS, () => void this.#retry());
    onChange();
  }

  async #retry(): Promise<void> {
    const { bus, log, subscriptions, refusedForMs, onChange } = this.#parts;
    if (!bus.connected) return;
    const fromMs = bus.runtime.now();
    for (const subscription of subscriptions()) if (this.has(`subscribe ${subscription.subject}`)) subscription.retry();
    // A refusal may be told a turn after the round trip has ended.
    if (!(await bus.flush()) || !(await bus.flush()) || this.#stopped) return;
    for (const [name, refusedAtMs] of this.#refusedAtMs) {
      const countsFor = name.startsWith("subscribe ") ? fromMs : bus.runtime.now() - refusedForMs;
      if (refusedAtMs < countsFor) this.#refusedAtMs.delete(name);
    }
    if (!this.any && this.#timer !== undefined) {
      bus.runtime.cancel(this.#timer);
      this.#timer = undefined;
      log.info("the broker allows again what it refused");
    }
    onChange();
  }
}
