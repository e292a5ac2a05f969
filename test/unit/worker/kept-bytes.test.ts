/** Payloads of kept results, in blocks that are used again. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BLOCK_BYTES, KeptBytes } from "../../../services/worker/jobs/kept-bytes.js";

const filled = (bytes: number, value: number): Uint8Array => new Uint8Array(bytes).fill(value);
const MIB = 2 ** 20;

describe("payloads of kept results", () => {
  test("a payload is a copy: it holds nothing of the buffer that it was a part of", () => {
    const read = filled(64 * 1_024, 7);
    const kept = new KeptBytes().put(1, read.subarray(100, 200));
    assert.notEqual(kept.buffer, read.buffer);
    read.fill(0);
    assert.deepEqual(kept, filled(100, 7));
  });

  test("payloads that are not released keep their bytes, whatever comes after them", () => {
    const blocks = new KeptBytes();
    const kept = Array.from({ length: 40 }, (_, i) => blocks.put(i + 1, filled(MIB, i)));
    assert.ok(kept.every((each, i) => each.length === MIB && each.every((byte) => byte === i)));
  });

  test("blocks are used again: any number of payloads takes the memory of those that are kept at once", () => {
    const blocks = new KeptBytes();
    for (let number = 1; number <= 1_000; number += 1) {
      blocks.put(number, filled(MIB, 1));
      blocks.release(number - 8);
      assert.ok(blocks.size <= 8 * MIB + 2 * BLOCK_BYTES, `${blocks.size} bytes`);
    }
  });

  test("a payload that is larger than a block has one of its own, which is let go when it is released", () => {
    const blocks = new KeptBytes();
    blocks.put(1, filled(10, 1));
    assert.equal(blocks.put(2, filled(BLOCK_BYTES + 1, 2)).length, BLOCK_BYTES + 1);
    assert.equal(blocks.size, 2 * BLOCK_BYTES + 1);
    blocks.release(2);
    assert.equal(blocks.size, BLOCK_BYTES);
  });

  test("what is released before the oldest payload of a block changes nothing", () => {
    const blocks = new KeptBytes();
    const first = blocks.put(5, filled(10, 5));
    blocks.release(4);
    blocks.put(6, filled(10, 6));
    assert.deepEqual(first, filled(10, 5));
  });
});
