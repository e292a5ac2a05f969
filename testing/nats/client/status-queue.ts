/** What happens to a connection, for those who iterate over it. */
import type { Status } from "nats";

/** One reader's part of a connection's status. */
export class StatusQueue implements AsyncIterable<Status> {
  #waiting: Status[] = [];
  #wake: (() => void) | undefined;
  #ended = false;

  push(status: Status): void {
    if (this.#ended) return;
    this.#waiting.push(status);
    this.#wake?.();
  }

  /** Ends the iteration when what was pushed is read. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Status> {
    for (;;) {
      const statuses = this.#waiting;
      this.#waiting = [];
      yield* statuses;
      if (this.#waiting.length > 0) continue;
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
