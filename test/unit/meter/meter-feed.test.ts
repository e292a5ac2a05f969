import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Feed } from "../../../services/meter/streams/feed.js";
import { seededRandom } from "../../support/random.js";

describe("feed", () => {
  it("gives a new reader everything, as a snapshot", () => {
    const feed = new Feed<string>();
    feed.set("a", "1");
    feed.set("b", "2");
    feed.commit();
    const { snapshot, changed, removed } = feed.since(0n);
    assert.deepEqual([snapshot, changed, removed], [true, ["1", "2"], []]);
  });

  it("gives a reader only what changed since, and only its newest value", () => {
    const feed = new Feed<string>();
    feed.set("a", "1");
    feed.set("b", "1");
    feed.commit();
    const seen = feed.since(0n).version;
    for (const value of ["2", "3", "4"]) {
      feed.set("b", value);
      feed.commit();
    }
    const { snapshot, changed, removed } = feed.since(seen);
    assert.deepEqual([snapshot, changed, removed], [false, ["4"], []]);
    assert.deepEqual(feed.since(feed.version).changed, []);
  });

  it("names what is gone, and not what came back", () => {
    const feed = new Feed<string>();
    feed.set("a", "1");
    feed.set("b", "1");
    feed.commit();
    const seen = feed.version;
    feed.delete("a");
    feed.delete("b");
    feed.commit();
    feed.set("b", "2");
    feed.commit();
    const { changed, removed } = feed.since(seen);
    assert.deepEqual([changed, removed], [["2"], ["a"]]);
  });

  it("shows nothing before it is committed, and commits nothing twice", () => {
    const feed = new Feed<string>();
    const seen = feed.version;
    feed.set("a", "1");
    assert.equal(feed.version, seen);
    assert.equal(feed.commit(), true);
    assert.equal(feed.commit(), false);
  });

  it("gives readers in step the same delta", () => {
    const feed = new Feed<string>();
    feed.set("a", "1");
    feed.commit();
    assert.equal(feed.since(0n), feed.since(0n));
  });

  it("gives everything anew to a reader that missed more removals than it keeps", () => {
    const feed = new Feed<number>();
    for (let i = 0; i < 10_002; i += 1) feed.set(`n${i}`, i);
    feed.commit();
    const seen = feed.version;
    for (let i = 0; i < 10_001; i += 1) {
      feed.delete(`n${i}`);
      feed.commit();
    }
    assert.deepEqual(feed.since(seen).changed, [10_001]);
    assert.equal(feed.since(seen).snapshot, true);
    assert.equal(feed.since(feed.version - 1n).snapshot, false);
  });

  it("leads every reader to the truth, whatever its pace", () => {
    const random = seededRandom(11);
    const feed = new Feed<readonly [string, number]>();
    const truth = new Map<string, number>();
    const readers = [1, 0.5, 0.05].map((pace) => ({ pace, seen: 0n, view: new Map<string, number>() }));
    const read = (reader: (typeof readers)[number]): void => {
      const delta = feed.since(reader.seen);
      reader.seen = delta.version;
      if (delta.snapshot) reader.view.clear();
      for (const [name, value] of delta.changed) reader.view.set(name, value);
      for (const name of delta.removed) reader.view.delete(name);
    };
    for (let step = 0; step < 5_000; step += 1) {
      const name = `n${Math.floor(random() * 40)}`;
      if (random() < 0.3) {
        feed.delete(name);
        truth.delete(name);
      } else {
        feed.set(name, [name, step]);
        truth.set(name, step);
      }
      if (random() < 0.3) feed.commit();
      for (const reader of readers) if (random() < reader.pace) read(reader);
    }
    feed.commit();
    for (const reader of readers) {
      read(reader);
      assert.deepEqual(new Map([...reader.view].sort()), new Map([...truth].sort()));
    }
  });
});
