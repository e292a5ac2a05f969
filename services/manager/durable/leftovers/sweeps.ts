/**
 * When a stream is swept: at the start and after a reconnect, every two seconds in the minute after it, then every thirty.
 *
 * What a killed broker has left behind is there as soon as it is back. Decided here: one sweep at a time; one that fails is
 * done again soon.
 */

const EVERY_MS = 30_000;
const OFTEN_MS = 2_000;
const OFTEN_FOR_MS = 60_000;
/** After a sweep that failed, in milliseconds. */
const AGAIN_MS = 500;

export class Sweeps {
  readonly #sweep: () => Promise<void>;
  #nextAtMs: number;
  #oftenUntilMs: number;
  #isSweeping = false;

  /** @param nowMs monotonic milliseconds */
  constructor(nowMs: number, sweep: () => Promise<void>) {
    this.#sweep = sweep;
    this.#nextAtMs = nowMs;
    this.#oftenUntilMs = nowMs + OFTEN_FOR_MS;
  }

  /** The broker may have been killed. @param nowMs monotonic milliseconds */
  onReconnect(nowMs: number): void {
    this.#oftenUntilMs = nowMs + OFTEN_FOR_MS;
    this.#nextAtMs = nowMs;
  }

  /** Sweeps when it is time. @param nowMs monotonic milliseconds */
  tick(nowMs: number): void {
    if (this.#isSweeping || nowMs < this.#nextAtMs) return;
    this.#isSweeping = true;
    this.#nextAtMs = nowMs + (nowMs < this.#oftenUntilMs ? OFTEN_MS : EVERY_MS);
    this.#sweep()
      .catch(() => {
        this.#nextAtMs = Math.min(this.#nextAtMs, nowMs + AGAIN_MS);
      })
      .finally(() => {
        this.#isSweeping = false;
      });
  }
}
