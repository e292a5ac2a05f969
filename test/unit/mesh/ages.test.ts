/** How old a message is, whatever the clocks say. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Ages } from "../../../mesh/wire/ages.js";
import { streamOf } from "../../../mesh/wire/wire-headers.js";
import { seededRandom } from "../../support/random.js";

test("ages - a message is as old as its way took longer than the quickest one from the same sender", () => {
  const ages = new Ages();
  assert.equal(ages.of("m", 1_000, 5_003), undefined, "the first of a sender is the measure: nothing tells its age");
  assert.equal(ages.of("m", 2_000, 6_003), 0);
  assert.ok(Math.abs((ages.of("m", 3_000, 8_003) ?? 0) - 1_000) < 2);
  assert.equal(ages.of("m", 4_000, 8_001), 0, "a quicker one becomes the measure");
  assert.equal(ages.of("other", 0, 8_001), undefined, "senders are measured apart");
});

test("ages - no offset between two clocks and no usual drift makes a message old", () => {
  const random = seededRandom(5);
  for (const offsetMs of [-3_600_000, 0, 86_400_000]) {
    for (const drift of [-2e-4, 0, 2e-4]) {
      const ages = new Ages();
      for (let atMs = 0; atMs < 3_600_000; atMs += 7_000) {
        const sentMs = offsetMs + atMs * (1 + drift);
        const age = ages.of("m", sentMs, atMs + 1 + random() * 4) ?? 0;
        assert.ok(age < 8, `offset ${offsetMs}, drift ${drift}: ${age} after ${atMs} ms`);
      }
    }
  }
});

test("ages - messages that were held are all found to be old, however long nothing came before them", () => {
  const ages = new Ages();
  ages.of("m", 0, 1);
  const silentMs = 60_000;
  for (let i = 0; i < 10; i += 1) {
    const sentMs = silentMs + i * 1_000;
    const age = ages.of("m", sentMs, silentMs + 10_001) ?? 0;
    const true_ = 10_000 - i * 1_000;
    assert.ok(age <= true_ && age > true_ - 30, `${age}, not ${true_}`);
  }
});

test("ages - a way that has become longer for good is the measure after a while", () => {
  const ages = new Ages();
  ages.of("m", 0, 1);
  let age = 0;
  for (let atMs = 1_000; atMs < 40_000; atMs += 1_000) age = ages.of("m", atMs, atMs + 301) ?? 0;
  assert.ok(age < 20, String(age));
});

test("a stream's acknowledgement is told apart from a result, whatever else it holds", () => {
  const of = (text: string): string | undefined => streamOf({ data: Buffer.from(text) });
  assert.equal(of('{"stream":"AUDIT","seq":7}'), "AUDIT");
  assert.equal(of('{"stream":"AUDIT","seq":7,"domain":"d","duplicate":true}'), "AUDIT");
  for (const no of ["", "42", "{}", '{"stream":"a"}', '{"seq":1}', '{"stream":1,"seq":1}', "{not json", '["stream"]']) {
    assert.equal(of(no), undefined, no);
  }
});
