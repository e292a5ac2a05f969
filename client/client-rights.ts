/**
 * What the broker refuses a client. Its callers hear it at once, and not at their
 * deadlines.
 *
 * A refused submission concerns what no manager has taken. So does a refused answer to
 * a manager that asks for the client's clock. Without its inbox a
 * client hears nothing at all: nothing leaves until the broker allows it, which is
 * tried again every second.
 */
import { PoolError } from "../mesh/errors.js";
import { refusalIn } from "../mesh/link/broker/refusals.js";
import type { Bus } from "../mesh/link/bus.js";
import type { Timer } from "../mesh/link/runtime.js";

const RETRY_EVERY_MS = 1_000;
/** So many managers that have asked for the clock are remembered. */
const MAX_ASKERS = 1_000;

/** What it works with. */
export interface ClientRightsParts {
  readonly bus: Bus;
  /** Where submissions go, and bundles of them. */
  readonly submitSubject: string;
  readonly submissionsSubject: string;
  /** Where one manager hears that it is asked for a job, and what it asks. */
  readonly submitToSubject: (manager: string) => string;
  /** Submissions that were sent, and that no manager has taken, were refused. */
  readonly onSubmitRefused: (error: PoolError) => void;
  /** An answer to a manager was refused without which it takes nothing. */
  readonly onClockRefused: (error: PoolError) => void;
  /** Bundles that were sent were refused. */
  readonly onBundlesRefused: () => void;
  /** No answer can come. */
  readonly onInboxRefused: (error: PoolError) => void;
  /** Subscribes again where the broker has refused it. */
  readonly subscribeAgain: () => void;
}

export class ClientRights {
  readonly #parts: ClientRightsParts;
  readonly #off: () => void;
  /** Ids of managers that have asked for this client's clock, and have said nothing else since: they take nothing without it. */
  readonly #askers = new Set<string>();
  #refusedAtMs = 0;
  #retry: Timer | undefined;
  #denied: PoolError | undefined;

  constructor(parts: ClientRightsParts) {
    this.#parts = parts;
    this.#off = parts.bus.on("error", (error) => this.#onError(error));
  }

  /** Why nothing may leave now; undefined when it may. */
  get denied(): PoolError | undefined {
    return this.#denied;
  }

  saysClockTo(manager: string): void {
    if (this.#askers.size < MAX_ASKERS) this.#askers.add(manager);
  }

  /** A manager has said something of a job. */
  answeredBy(manager: string | undefined): void {
    if (this.#askers.size > 0 && manager !== undefined) this.#askers.delete(manager);
  }

  /** What was refused before says nothing of this connection. */
  onReconnect(): void {
    this.#askers.clear();
  }

  stop(): void {
    this.#off();
    this.#parts.bus.runtime.cancel(this.#retry);
  }

  #onError(text: string): void {
    const { bus, submitSubject, submissionsSubject } = this.#parts;
    const { onSubmitRefused, onClockRefused, onBundlesRefused, onInboxRefused } = this.#parts;
    const refusal = refusalIn(text);
    if (refusal === undefined) return;
    const error = new PoolError("permission_denied", `the broker refuses: ${refusal.operation} ${refusal.subject}`);
    if (refusal.operation === "publish") {
      if (refusal.subject === submitSubject) onSubmitRefused(error);
      if (this.#isToAsker(refusal.subject)) onClockRefused(error);
      if (refusal.subject === submissionsSubject) onBundlesRefused();
    } else if (refusal.subject.startsWith(`${bus.inboxRoot}.`)) {
      this.#denied = error;
      this.#refusedAtMs = bus.runtime.now();
      this.#retry ??= bus.runtime.every(RETRY_EVERY_MS, () => void this.#tryAgain());
      onInboxRefused(error);
    }
  }

  #isToAsker(subject: string): boolean {
    for (const manager of this.#askers) if (subject === this.#parts.submitToSubject(manager)) return true;
    return false;
  }

  async #tryAgain(): Promise<void> {
    const { bus, subscribeAgain } = this.#parts;
    const fromMs = bus.runtime.now();
    subscribeAgain();
    if (!(await bus.flush()) || this.#refusedAtMs >= fromMs) return;
    this.#denied = undefined;
    bus.runtime.cancel(this.#retry);
    this.#retry = undefined;
  }
}
