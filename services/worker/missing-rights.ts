/**
 * The permissions that a worker needs and that the broker refuses, at the start
 * or since they were taken away.
 *
 * While there are any the worker is not READY: nobody would hear what it answers,
 * or it does not hear what it must. Decided here: which refusals count, and when
 * one is over. A subscription that was refused is tried again every second.
 * That a reply was refused counts for some seconds. A manager that hears of it in a
 * heartbeat asks the worker again (losses.ts), and the answer is refused or not.
 */
import type { Bus } from "../../mesh/link/bus.js";
import type { Timer } from "../../mesh/link/runtime.js";
import type { Subscription } from "../../mesh/link/subscription.js";
import type { Logger } from "../../mesh/process/log.js";
import { type BrokerRefusal, refusalIn } from "../../mesh/wire/refusals.js";
import { senderOf } from "../../mesh/wire/wire-headers.js";

/** So many are told in a heartbeat. */
const TOLD_LIMIT = 16;
const RETRY_EVERY_MS = 1_000;
/** How long a refused publish counts after it was refused last: so many heartbeats, and at least this, in milliseconds. */
const REFUSED_FOR_BEATS = 2.5;
const REFUSED_FOR_MS = 2_500;

/** What it works with. */
export interface MissingRightsParts {
  readonly bus: Bus;
  readonly log: Logger;
  /** Subjects that the worker must hear. */
  readonly heard: ReadonlySet<string>;
  /** Its own heartbeats' subject, and the time between two, in milliseconds. */
  readonly heartbeat: { readonly subject: string; readonly intervalMs: number };
  /** Whether jobs came from this connection: all of its reply subjects begin so. */
  readonly isSender: (root: string) => boolean;
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

  /** Such as "publish _INBOX.manager.m1.x.>". */
  get names(): readonly string[] {
    return [...this.#refusedAtMs.keys()].slice(0, TOLD_LIMIT);
  }

  /** Whether replies to this subject are refused. */
  refusesReply(reply: string): boolean {
    return this.#refusedAtMs.has(toReplies(senderOf(reply)));
  }

  /** Whether this subject may not be heard. */
  refusesToHear(subject: string): boolean {
    return this.#refusedAtMs.has(`subscribe ${subject}`);
  }

  stop(): void {
    this.#stopped = true;
    this.#off();
    this.#parts.bus.runtime.cancel(this.#timer);
  }

  #onError(error: string): void {
    const refusal = refusalIn(error);
    const name = refusal === undefined ? undefined : this.#nameOf(refusal);
    if (name === undefined || this.#stopped) return;
    const { bus, log, onChange } = this.#parts;
    const isNew = !this.#refusedAtMs.has(name);
    this.#refusedAtMs.set(name, bus.runtime.now());
    if (!isNew) return;
    log.error({ missing: name }, "the broker refuses what this worker needs: it takes no jobs");
    this.#timer ??= bus.runtime.every(RETRY_EVERY_MS, () => void this.#retry());
    onChange();
  }

  /** Undefined for what the worker can do without. */
  #nameOf({ operation, subject }: BrokerRefusal): string | undefined {
    const { heard, heartbeat, isSender } = this.#parts;
    if (operation === "subscribe") return heard.has(subject) ? `subscribe ${subject}` : undefined;
    if (subject === heartbeat.subject) return `publish ${subject}`;
    const root = senderOf(subject);
    return isSender(root) ? toReplies(root) : undefined;
  }

  async #retry(): Promise<void> {
    const { bus, log, subscriptions, onChange } = this.#parts;
    if (!bus.connected) return;
    const fromMs = bus.runtime.now();
    for (const subscription of subscriptions()) if (this.refusesToHear(subscription.subject)) subscription.retry();
    if (!(await bus.flush()) || this.#stopped) return;
    for (const [name, refusedAtMs] of this.#refusedAtMs) {
      const isOver = name.startsWith("subscribe") ? refusedAtMs < fromMs : this.#isOld(refusedAtMs);
      if (isOver) this.#refusedAtMs.delete(name);
    }
    if (!this.any) {
      bus.runtime.cancel(this.#timer);
      this.#timer = undefined;
      log.info("the broker allows again what this worker needs");
    }
    onChange();
  }

  /** Each heartbeat tries again: it is refused itself, or it makes a manager ask. */
  #isOld(refusedAtMs: number): boolean {
    const { bus, heartbeat } = this.#parts;
    return bus.runtime.now() - refusedAtMs > Math.max(REFUSED_FOR_MS, REFUSED_FOR_BEATS * heartbeat.intervalMs);
  }
}

function toReplies(root: string): string {
  return `publish ${root}.>`;
}
