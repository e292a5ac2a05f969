/**
 * What a mesh of many pools needs while nothing runs: processor share, wakes and memory of the manager, the meter, the
 * broker and the workers. One worker with a connection of its own for each pool.
 *
 *   node scripts/build.js && node --import tsx scripts/measure/scale/idle-pools.ts [--pools 500] [--workers 1] [--processes 4] [--seconds 30]
 */
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Broker } from "../../../broker/broker.js";
import { startPart } from "./part.js";
import { shares } from "./usage.js";

const { values } = parseArgs({
  options: {
    pools: { type: "string", default: "500" },
    workers: { type: "string", default: "1" },
    processes: { type: "string", default: "4" },
    seconds: { type: "string", default: "30" },
  },
});
const [pools, workers, processes, seconds] = [values.pools, values.workers, values.processes, values.seconds].map(
  Number,
) as [number, number, number, number];
/** The workers start within a second; everything that is done once at a start is over by then. */
const SETTLE_MS = 5_000;

const broker = new Broker({ port: "any", jetStream: false });
await broker.start();
const servers = broker.url;
const parts = [await startPart({ kind: "manager", servers }), await startPart({ kind: "meter", servers })];
try {
  const places = Array.from({ length: pools * workers }, (_, i) => ({ pool: `p${i % pools}`, id: `w${i}` }));
  const shared = Array.from({ length: processes }, (_, p) => places.filter((_, i) => i % processes === p));
  const fleet = await Promise.all(
    shared.map((of) =>
      startPart({ kind: "workers", servers, slots: 1, pool: of.map(({ pool }) => pool), ids: of.map(({ id }) => id) }),
    ),
  );
  parts.push(...fleet);
  await delay(SETTLE_MS);
  const [manager, meter] = parts.map(({ pid }) => pid) as [number, number];
  const pids = { manager: [manager], meter: [meter], broker: [broker.pid], workers: fleet.map(({ pid }) => pid) };
  const { text } = await shares(pids, () => delay(seconds * 1_000));
  console.log(`${pools} pools, ${workers} workers each, in ${processes} processes, idle for ${seconds} s\n${text}`);
} finally {
  await Promise.all(parts.map((part) => part.stop()));
  await broker.stop();
}
