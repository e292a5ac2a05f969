/**
 * Cancels of a client's jobs, each said until somebody has heard it.
 *
 * The caller has its outcome, `canceled`, at once. That the job ends is another
 * matter: a cancel is a message, and may be lost with a broker. So it is said
 * again until the manager that has the job, or a worker that runs it, has answered,
 * or until an outcome tells that the job was over before. At the job's deadline
 * whoever has it ends it anyway.
 */
import { PoolError } from "../mesh/errors.js";
import type { Bus } from "../mesh/link/bus.js";
import type { Submission } from "./submission.js";

/** How long an answer is waited for before a cancel is said again, in milliseconds: at first, then twice as long each time, up to the last. */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8_000;
/** So often nobody is at the address of the manager that had the job, until it is taken for gone. */
const MAX_ABSENCES = 3;

/** What cancels ask of the client's link. */
export interface CancelsPorts {
  /** Says the cancel. Answers come to the submission's correlation id. */
  sayCancel(submission: Submission): void;
  /** Asks its manager for the job: who has ended it before does not answer a cancel. */
  askManager(submission: Submission, manager: string): void;
  /** No answer is waited for any more. */
  close(submission: Submission): void;
}

interface Cancel {
  /** The manager that has the job; "" when that is not known. */
  manager: string;
  absences: number;
  /** Undefined until it is settled. */
  end: "heard" | PoolError | undefined;
  /** Ends the wait for an answer. */
  wake: () => void;
}

export class Cancels {
  readonly #bus: Pick<Bus, "runtime" | "connected" | "on">;
  readonly #ports: CancelsPorts;
  readonly #cancels = new Map<Submission, Cancel>();
  readonly #offBus: () => void;

  constructor(bus: Pick<Bus, "runtime" | "connected" | "on">, ports: CancelsPorts) {
    this.#bus = bus;
    this.#ports = ports;
    this.#offBus = bus.on("reconnect", () => {
      for (const { wake } of this.#cancels.values()) wake();
    });
  }

  /** Whether the answer to a cancel of this job is waited for. */
  has(submission: Submission): boolean {
    return this.#cancels.has(submission);
  }

  /**
   * Says the cancel of a job that may be at a manager, in this turn if there is a connection.
   *
   * @returns resolves when it was heard or the job is over. Rejects with `bus_unavailable` when nobody confirms it before
   * the job's deadline, its manager is gone, or the client is closed. Who does not look at it need not catch it.
   */
  say(submission: Submission): Promise<void> {
    const cancel: Cancel = { manager: submission.manager, absences: 0, end: undefined, wake: () => {} };
    this.#cancels.set(submission, cancel);
    const heard = this.#say(submission, cancel);
    heard.catch(() => undefined);
    return heard;
  }

  /** A manager says that it has the job: it may have heard the cancel before. */
  taken(submission: Submission, manager: string): void {
    const cancel = this.#cancels.get(submission);
    if (cancel === undefined || cancel.manager !== "") return;
    cancel.manager = manager;
    cancel.wake();
  }

  /** The cancel was answered, or the job is over. */
  heard(submission: Submission): void {
    this.#settle(this.#cancels.get(submission), "heard");
  }

  /** Nobody listens where the manager was asked. */
  absent(submission: Submission): void {
    const cancel = this.#cancels.get(submission);
    if (cancel === undefined || cancel.manager === "") return;
    cancel.absences += 1;
    if (cancel.absences === MAX_ABSENCES) this.#settle(cancel, unconfirmed("its manager went"));
  }

  /** Says nothing again. */
  stop(): void {
    this.#offBus();
    for (const cancel of this.#cancels.values()) this.#settle(cancel, unconfirmed("the client was closed"));
  }

  async #say(submission: Submission, cancel: Cancel): Promise<void> {
    const { runtime } = this.#bus;
    for (let waitMs = 0; cancel.end === undefined; ) {
      if (this.#bus.connected) {
        this.#ports.sayCancel(submission);
        if (waitMs > 0 && cancel.manager !== "") this.#ports.askManager(submission, cancel.manager);
      }
      const leftMs = submission.deadlineAtMs - runtime.now();
      waitMs = Math.min(Math.max(2 * waitMs, FIRST_WAIT_MS), LONGEST_WAIT_MS);
      if (leftMs > 0) await this.#wait(cancel, Math.min(waitMs, leftMs));
      else cancel.end ??= unconfirmed("the job's deadline");
    }
    this.#cancels.delete(submission);
    this.#ports.close(submission);
    if (cancel.end !== "heard") throw cancel.end;
  }

  #settle(cancel: Cancel | undefined, end: "heard" | PoolError): void {
    if (cancel === undefined) return;
    cancel.end ??= end;
    cancel.wake();
  }

  #wait(cancel: Cancel, ms: number): Promise<void> {
    const { runtime } = this.#bus;
    return new Promise((resolve) => {
      const timer = runtime.after(ms, resolve, "background");
      cancel.wake = () => {
        runtime.cancel(timer);
        resolve();
      };
    });
  }
}

function unconfirmed(before: string): PoolError {
  const message = `nobody confirmed the cancel before ${before}`;
  return new PoolError("bus_unavailable", message, { maybeExecuted: true, retryable: false });
}
