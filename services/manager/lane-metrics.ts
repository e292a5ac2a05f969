/**
 * The Prometheus metrics of the durable lane, per pool.
 *
 * What the streams tell is asked for when the metrics are read, at most once a
 * second. While the broker does not answer, those series are absent: a figure that
 * is not known is not 0.
 */
import { Counter, Gauge, type Registry } from "prom-client";
import type { LaneFigures } from "../../mesh/durable/shown/figures.js";
import { within } from "../../mesh/link/runtime.js";
import type { LaneTotals } from "./durable/lane-totals.js";
import type { PoolLane } from "./durable/pool-lane.js";
import type { Pools } from "./pools.js";

/** For so long figures count as new, in milliseconds. */
const FRESH_MS = 1_000;
/** How long the broker may take to tell them, in milliseconds. */
const LIMIT_MS = 1_000;

type Look = ReadonlyMap<string, LaneFigures>;

/** Adds the metrics of the durable lane to a registry; they have no series while the manager has no lane. */
export function addLaneMetrics(registry: Registry, pools: Pools): void {
  const look = looker(pools);
  const gauge = (name: string, help: string, valuesOf: () => Promise<Iterable<readonly [string, number]>>): void => {
    new Gauge({
      name: `poolmesh_manager_durable_${name}`,
      help,
      labelNames: ["pool"],
      registers: [registry],
      async collect() {
        const values = await valuesOf();
        this.reset();
        for (const [pool, value] of values) this.set({ pool }, value);
      },
    });
  };
  const stored = (name: string, help: string, value: (figures: LaneFigures) => number): void =>
    gauge(name, help, async () => [...(await look())].map(([pool, figures]) => [pool, value(figures)]));
  const own = (name: string, help: string, value: (lane: PoolLane) => number): void =>
    gauge(name, help, async () => lanesOf(pools).map(([pool, lane]) => [pool, value(lane)]));
  const total = (name: string, help: string, value: (totals: LaneTotals, pool: string) => number): void => {
    new Counter({
      name: `poolmesh_manager_durable_${name}_total`,
      help,
      labelNames: ["pool"],
      registers: [registry],
      collect() {
        this.reset();
        for (const [pool, { totals }] of lanesOf(pools)) this.inc({ pool }, value(totals, pool));
      },
    });
  };
  const { runtime } = pools;
  stored("queued_jobs", "Jobs that wait in the stream; the same at every manager.", ({ queued }) => queued);
  stored(
    "scheduled_jobs",
    "Jobs that wait for their time in the stream; the same at every manager.",
    ({ scheduled }) => scheduled,
  );
  stored("dead_letters", "Dead letters that are kept; the same at every manager.", ({ dead }) => dead);
  stored("oldest_job_seconds", "Age of the oldest job in the stream; the same at every manager.", ({ oldestAt }) =>
    oldestAt === undefined ? 0 : Math.max(0, runtime.wallNow() - oldestAt.getTime()) / 1_000,
  );
  stored("paused", "1 while jobs of the lane do not begin; the same at every manager.", ({ paused }) =>
    paused === undefined ? 0 : 1,
  );
  own("held_jobs", "Jobs that this manager holds: parked, running, or about to be stored.", ({ held }) => held);
  own("limited_jobs", "Held jobs that wait until their limits let them run.", ({ limited }) => limited);
  own("retrying_jobs", "Jobs that this manager has given back after a failure, and that are not due.", (lane) =>
    lane.retrying(runtime.now()),
  );
  total("deliveries", "Jobs delivered to this manager.", ({ delivered }) => delivered);
  total("joined", "Jobs that a worker had from another manager, and that this one joined.", ({ joined }) => joined);
  total("results", "Results stored.", ({ succeeded }) => succeeded);
  total("dead", "Jobs that became dead letters.", ({ dead }) => dead);
  total("given_back", "Jobs given back, to be delivered again.", ({ givenBack }) => givenBack);
  const completed = (pool: string): number => pools.durable?.batches.completed(pool) ?? 0;
  total("batches_completed", "Batches whose completion job this manager enqueued.", (_, pool) => completed(pool));
  total("late_outcomes", "Outcomes dropped, since another one was stored first.", ({ late }) => late);
}

function lanesOf({ durable }: Pools): (readonly [string, PoolLane])[] {
  return durable === undefined ? [] : [...durable.all()];
}

/** Asks for the figures of all pools, for all metrics of one reading together. */
function looker(pools: Pools): () => Promise<Look> {
  const { runtime } = pools;
  let last: { readonly atMs: number; readonly look: Promise<Look> } | undefined;
  return () => {
    const nowMs = runtime.now();
    if (last === undefined || nowMs - last.atMs > FRESH_MS) last = { atMs: nowMs, look: lookNow(pools) };
    return last.look;
  };
}

async function lookNow(pools: Pools): Promise<Look> {
  const { durable, runtime } = pools;
  const look = new Map<string, LaneFigures>();
  if (durable === undefined) return look;
  const asked = [...durable.all()].map(async ([pool]) => {
    const figures = await within(
      runtime,
      LIMIT_MS,
      durable.figures(pool).catch(() => undefined),
      undefined,
    );
    if (figures !== undefined) look.set(pool, figures);
  });
  await Promise.all(asked);
  return look;
}
