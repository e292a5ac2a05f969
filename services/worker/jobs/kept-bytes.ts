/**
 * Payloads of results that are kept, in blocks of memory that are used again.
 *
 * Pure. A kept payload lives for seconds. Held as it came, it would keep the whole
 * buffer that the socket was read into, and the collector would move it, find it old
 * and mark the whole heap for every few of them. So it is copied into a block.
 * Payloads are released in the order in which they were put, so a block is free when
 * its last payload is. What is left at the end of a block is wasted.
 */

/** What a block has at least, in bytes; a larger payload has a block of its own. */
export const BLOCK_BYTES = 4 * 2 ** 20;
/** Blocks that wait to be used again. */
const MAX_FREE = 16;

interface Block {
  readonly bytes: Uint8Array;
  used: number;
  /** The number of the last payload in it. */
  last: number;
}

export class KeptBytes {
  /** Oldest first; payloads go into the last one. */
  readonly #blocks: Block[] = [];
  readonly #free: Block[] = [];

  /** What all blocks have together, in bytes. */
  get size(): number {
    let size = 0;
    for (const { bytes } of [...this.#blocks, ...this.#free]) size += bytes.length;
    return size;
  }

  /**
   * Copies a payload.
   *
   * @param number rises from one payload to the next
   * @returns its bytes, which are another payload's once this one is released
   */
  put(number: number, payload: Uint8Array): Uint8Array {
    let block = this.#blocks.at(-1);
    if (block === undefined || block.used + payload.length > block.bytes.length) block = this.#open(payload.length);
    const kept = block.bytes.subarray(block.used, block.used + payload.length);
    kept.set(payload);
    block.used += payload.length;
    block.last = number;
    return kept;
  }

  /** All payloads up to this number are needed no more. */
  release(number: number): void {
    while (this.#blocks[0] !== undefined && this.#blocks[0].last <= number) {
      const block = this.#blocks.shift() as Block;
      block.used = 0;
      if (block.bytes.length === BLOCK_BYTES && this.#free.length < MAX_FREE) this.#free.push(block);
    }
  }

  #open(atLeast: number): Block {
    const reused = atLeast <= BLOCK_BYTES ? this.#free.pop() : undefined;
    const block = reused ?? { bytes: new Uint8Array(Math.max(BLOCK_BYTES, atLeast)), used: 0, last: 0 };
    this.#blocks.push(block);
    return block;
  }
}
