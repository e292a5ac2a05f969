import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { versionOf } from "../../../mesh/http/first-bytes.js";
import { OpenSet } from "../../../mesh/http/open-set.js";

test("a version is told as soon as the bytes tell it", () => {
  for (const first of ["G", "PO", "PU", "PRO", "PRI/", "PRI\r", "\u0016"]) {
    assert.equal(versionOf(Buffer.from(first)), "http1", first);
  }
  for (const first of ["PRI ", "PRI * HTTP/2.0\r\n"]) assert.equal(versionOf(Buffer.from(first)), "http2", first);
  for (const first of ["", "P", "PR", "PRI"]) assert.equal(versionOf(Buffer.from(first)), undefined, first);
});

test("a member leaves an open set when it closes, and the last one ends the wait", async () => {
  const set = new OpenSet<EventEmitter>();
  await set.whenEmpty(1);
  const [a, b] = [new EventEmitter(), new EventEmitter()];
  set.add(a);
  set.add(b);
  const empty = set.whenEmpty(60_000);
  a.emit("close");
  assert.deepEqual([...set], [b]);
  b.emit("close");
  await empty;
  assert.equal(set.size, 0);
});

test("waiting for an open set has a limit", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const set = new OpenSet<EventEmitter>();
  set.add(new EventEmitter());
  const wait = set.whenEmpty(100);
  t.mock.timers.tick(100);
  await wait;
  assert.equal(set.size, 1);
});
