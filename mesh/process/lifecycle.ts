/**
 * Everything that starts and stops: start(), stop() and closed.
 *
 * States: idle → starting → running → stopping → stopped. `stop()` works before
 * `start()`, and twice. `start()` works once. A start that fails stops what it had
 * begun. One shared test proves this contract for every part.
 */

export type LifecycleState = "idle" | "starting" | "running" | "stopping" | "stopped";

export abstract class Lifecycle {
  #state: LifecycleState = "idle";
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  readonly #closed: Promise<Error | undefined>;
  #settleClosed!: (error: Error | undefined) => void;

  constructor() {
    this.#closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
  }

  get state(): LifecycleState {
    return this.#state;
  }

  /** Settles when it has stopped; with an error when nobody called stop(). Never rejects. */
  get closed(): Promise<Error | undefined> {
    return this.#closed;
  }

  /** Resolves when it is ready. When it cannot start, it is stopped and this rejects. */
  start(): Promise<void> {
    if (this.#state === "stopping" || this.#state === "stopped") {
      return Promise.reject(new Error("start() after stop()"));
    }
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /** Resolves when everything it started has ended. It may be called before start(), and twice. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** What start() does. Called once. */
  protected abstract onStart(): Promise<void>;
  /** What stop() does, also after a start that failed halfway. Called once. */
  protected abstract onStop(): Promise<void>;

  /** Ends it for a reason of its own, such as a lost connection. */
  protected fail(error: Error): void {
    this.#settleClosed(error);
    void this.stop();
  }

  async #start(): Promise<void> {
    this.#state = "starting";
    try {
      await this.onStart();
    } catch (error) {
      await this.stop();
      throw error;
    }
    if (this.#state === "starting") this.#state = "running";
  }

  async #stop(): Promise<void> {
    const began = this.#state !== "idle";
    this.#state = "stopping";
    try {
      if (began) await this.onStop();
    } finally {
      this.#state = "stopped";
      this.#settleClosed(undefined);
    }
  }
}
