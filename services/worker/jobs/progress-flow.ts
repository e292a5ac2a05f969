/**
 * Bounds the progress of one job on its way, however fast its handler reports. Pure.
 *
 * So many values, and so many bytes, may be on their way. While they are, only the latest value waits: a later one takes
 * its place. It leaves as soon as there is room, and at the latest before the outcome. So what arrives is in order, is
 * never more than the way can carry, and ends with the last value.
 */

/** Values on their way. */
export const PROGRESS_WINDOW = 64;
/** Bytes on their way; one value may have more. */
export const PROGRESS_WINDOW_BYTES = 1_048_576;

export class ProgressFlow {
  readonly #send: (payload: Uint8Array) => void;
  readonly #confirm: (then: () => void) => void;
  /** The sizes of the values on their way, the oldest first. */
  readonly #sizes: number[] = [];
  #bytes = 0;
  #latest: Uint8Array | undefined;
  #isConfirming = false;

  /**
   * @param confirm is asked when half of the room is used up; calls `then` when all that was sent has arrived. Where
   *   the other side says by itself what has arrived, it does nothing
   */
  constructor(send: (payload: Uint8Array) => void, confirm: (then: () => void) => void) {
    this.#send = send;
    this.#confirm = confirm;
  }

  /** Sends a value, or has it wait. */
  put(payload: Uint8Array): void {
    // Its handler may use the bytes again.
    if (this.#sizes.length >= PROGRESS_WINDOW || this.#bytes >= PROGRESS_WINDOW_BYTES)
      this.#latest = new Uint8Array(payload);
    else this.#leave(payload);
  }

  /** The oldest `count` values on their way have arrived. */
  arrived(count: number): void {
    for (const size of this.#sizes.splice(0, count)) this.#bytes -= size;
    this.flush();
  }

  /** Sends what waits: there is room, or the outcome follows. */
  flush(): void {
    const latest = this.#latest;
    this.#latest = undefined;
    if (latest !== undefined) this.#leave(latest);
  }

  #leave(payload: Uint8Array): void {
    this.#sizes.push(payload.length);
    this.#bytes += payload.length;
    this.#send(payload);
    const isHalfFull = this.#sizes.length * 2 >= PROGRESS_WINDOW || this.#bytes * 2 >= PROGRESS_WINDOW_BYTES;
    if (this.#isConfirming || !isHalfFull) return;
    this.#isConfirming = true;
    const count = this.#sizes.length;
    this.#confirm(() => {
      this.#isConfirming = false;
      this.arrived(count);
    });
  }
}
