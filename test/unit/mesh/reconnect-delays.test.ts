/** How long a connection waits before it tries a broker again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ReconnectDelays } from "../../../mesh/link/broker/reconnect-delays.js";

test("reconnect - tries are quick for a second of an outage, however often the NATS client asks, and slower after it", () => {
  let nowMs = 10_000;
  const clock = { now: () => nowMs, wallNow: () => nowMs, random: () => 0.5 };
  const delays = new ReconnectDelays(clock);
  const ask = (times: number): number[] => Array.from({ length: times }, () => delays.next());
  assert.deepEqual(new Set(ask(100)), new Set([50]));
  nowMs += 1_000;
  assert.deepEqual(new Set(ask(100)), new Set([50]));
  nowMs += 1;
  assert.deepEqual(new Set(ask(100)), new Set([200]));
  nowMs += 2_001;
  assert.deepEqual(ask(1), [50], "another outage");
});
