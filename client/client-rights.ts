/**
 * What the broker refuses a client. Its callers hear it at once, and not at their
 * deadlines.
 *
 * A refused submission concerns what no manager has taken. Without its inbox a
 * client hears nothing at all: nothing leaves until the broker allows it, which is
 * tried again every second.
 */
import { PoolError } from "../mesh/errors.js";
import type { Bus } from "../mesh/link/bus.js";
import type { Timer } from "../mesh/link/runtime.js";
import { refusalIn } from "../mesh/wire/refusals.js";

const RETRY_EVERY_MS = 1_000;

/** What it works with. */
export interface ClientRightsParts {
  readonly bus: Bus;
  /** Where submissions go, and bundles of them. */
  readonly submitSubject: string;
  readonly submissionsSubject: string;
  /** Submissions that were sent, and that no manager has taken, were refused. */
  readonly onSubmitRefused: (error: PoolError) => void;
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

  stop(): void {
    this.#off();
    this.#parts.bus.runtime.cancel(this.#retry);
  }

  #onError(text: string): void {
    const { bus, submitSubject, submissionsSubject, onSubmitRefused, onBundlesRefused, onInboxRefused } = this.#parts;
    const refusal = refusalIn(text);
    if (refusal === undefined) return;
    const error = new PoolError("permission_denied", `the broker refuses: ${refusal.operation} ${refusal.subject}`);
    if (refusal.operation === "publish") {
      if (refusal.subject === submitSubject) onSubmitRefused(error);
      if (refusal.subject === submissionsSubject) onBundlesRefused();
    } else if (refusal.subject.startsWith(`${bus.inboxRoot}.`)) {
      this.#denied = error;
      this.#refusedAtMs = bus.runtime.now();
      this.#retry ??= bus.runtime.every(RETRY_EVERY_MS, () => void this.#tryAgain());
      onInboxRefused(error);
    }
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
