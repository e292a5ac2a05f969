/**
 * Replays one arrival trace through Poolmesh and through a plain queue group,
 * and prints both beside an ideal central queue.
 *
 * Usage: node --import tsx scripts/measure/dispatch-trace.ts [jobs] [nodes] [load]
 */
import { Cluster } from "../../broker/cluster.js";
import { idealWaits, makeTrace, measuredWaits, type Waits } from "../../test/support/core/arrival-trace.js";
import { runPoolmesh, runQueueGroup } from "../../test/support/core/trace-arms.js";

const SLOTS = 8;
const jobs = Number(process.argv[2] ?? 3_000);
const nodes = Number(process.argv[3] ?? 1);
const load = Number(process.argv[4] ?? 0.85);

const cluster = new Cluster(nodes);
await cluster.start();
try {
  const servers = cluster.urls;
  const trace = makeTrace(jobs, SLOTS, load, 20_261_124);
  const ours = await runPoolmesh(servers, trace, SLOTS);
  const plain = await runQueueGroup(servers, trace, SLOTS);
  const ideal = idealWaits(ours.served, SLOTS);
  const rows: [string, Waits][] = [
    ["ideal central queue", ideal],
    ["poolmesh", measuredWaits(ours.served)],
    ["plain queue group", measuredWaits(plain.served)],
  ];
  console.log(`${jobs} jobs, ${SLOTS} slots, ${load * 100} % load, ${nodes} broker node(s); wait in ms`);
  for (const [name, { p50, p99, max }] of rows) {
    const ratio = (p99 / ideal.p99).toFixed(2);
    console.log(
      `${name.padEnd(20)} p50 ${p50.toFixed(1)}  p99 ${p99.toFixed(1)}  max ${max.toFixed(1)}  p99/ideal ${ratio}`,
    );
  }
  console.log(`lost ${ours.lost}, executed twice ${ours.twice}`);
} finally {
  await cluster.stop();
}
