/** A client's pings: as many unanswered ones as are allowed make the connection stale. nats.js' own rules. */
import type { Runtime, Timer } from "../../../mesh/link/runtime.js";

/** What the pings ask of their connection. */
export interface PingHost {
  /** Sends a ping; calls `end` with its answer, or with false when the connection ends. */
  ping(end: (answered: boolean) => void): void;
  /** A ping is about to be sent. */
  onPing(pendingPings: number): void;
  /** Too many pings are unanswered. */
  onStale(): void;
}

/** The pings of one connection. */
export class Pings {
  readonly #runtime: Runtime;
  readonly #host: PingHost;
  readonly #intervalMs: number;
  readonly #maxOut: number;
  #timer: Timer | undefined;
  #pending = 0;

  constructor(runtime: Runtime, host: PingHost, intervalMs: number, maxOut: number) {
    this.#runtime = runtime;
    this.#host = host;
    this.#intervalMs = intervalMs;
    this.#maxOut = maxOut;
  }

  /** Begins anew. */
  start(): void {
    this.cancel();
    this.#schedule();
  }

  cancel(): void {
    this.#runtime.cancel(this.#timer);
    this.#timer = undefined;
    this.#pending = 0;
  }

  #schedule(): void {
    this.#timer = this.#runtime.after(this.#intervalMs, () => this.#beat(), "background");
  }

  #beat(): void {
    this.#host.onPing(this.#pending + 1);
    if (this.#pending === this.#maxOut) {
      this.cancel();
      this.#host.onStale();
      return;
    }
    this.#pending += 1;
    this.#host.ping((answered) => {
      if (answered) this.#pending = 0;
      else this.cancel();
    });
    this.#schedule();
  }
}
