/** How the jobs of a made-up pool end: what a meter would have added up. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  JobOrder,
  type JobServiceListJobsRequest,
  type JobView,
  JobViewSchema,
  JobViewState,
} from "../../../gen/poolmesh/v1/job_pb.js";
import type { GetJobStatsResponseSchema } from "../../../gen/poolmesh/v1/meter_pb.js";
import type { FakeFleet } from "./fake-fleet.js";

const POINTS = 180;

/** The answer to GetJobStats. */
export function fakeJobStats(fleet: FakeFleet, pool: string): MessageInitShape<typeof GetJobStatsResponseSchema> {
  const { ended = 300, failed = 0 } = fleet.trouble.get(pool) ?? {};
  const jobs = BigInt(ended);
  const outcomes: Record<string, bigint> = { ok: BigInt(ended - failed) };
  if (failed > 0) outcomes.job_failed = BigInt(failed - Math.floor(failed / 5));
  if (failed >= 5) outcomes.deadline_exceeded = BigInt(Math.floor(failed / 5));
  return {
    windowMs: 60_000,
    outcomes: ended === 0 ? {} : outcomes,
    wait: { jobs, p50Ms: 0.4, p95Ms: 38, p99Ms: 121 },
    run: { jobs, p50Ms: 212, p95Ms: 441, p99Ms: 1_480 },
    total: { jobs, p50Ms: 214, p95Ms: 470, p99Ms: 1_530 },
    stepMs: 5_000,
    freshness: { at: timestampFromMs(Date.now()) },
    ...{ waitSeries: series(30), runSeries: series(210), totalSeries: series(230) },
  };
}

/** The answer to ListJobs. */
export function fakeJobs(
  fleet: FakeFleet,
  { filter, order }: Pick<JobServiceListJobsRequest, "filter" | "order">,
): JobView[] {
  const pool = filter?.pool ?? "";
  const { ended = 300, failed = 0 } = fleet.trouble.get(pool) ?? {};
  const failures = Array.from({ length: Math.min(5, failed) }, (_, i) =>
    fakeJob(pool, i, i === 3 ? "deadline_exceeded" : "job_failed", 240 + i * 31),
  );
  if (filter?.states.includes(JobViewState.FAILED)) return failures;
  const others = (slowMs: number) =>
    Array.from({ length: ended === 0 ? 0 : 5 }, (_, i) => fakeJob(pool, i + 5, "ok", slowMs / (i + 1)));
  if (order === JobOrder.SLOWEST) return others(1_840);
  const running = ended === 0 ? [] : [fakeJob(pool, 20, "running", 180)];
  return [...running, ...failures.slice(0, 1), ...others(420)];
}

/** @param outcome "ok", "running", or the reason of an error */
function fakeJob(pool: string, i: number, outcome: string, totalMs: number): JobView {
  const isOver = outcome !== "running";
  const state = outcome === "ok" ? JobViewState.SUCCEEDED : isOver ? JobViewState.FAILED : JobViewState.RUNNING;
  const endedMs = Date.now() - 900 - i * 2_300;
  const error = {
    reason: outcome,
    code: outcome === "job_failed" && i % 2 === 0 ? "card.declined" : "",
    message: MESSAGES[i % MESSAGES.length] as string,
  };
  return create(JobViewSchema, {
    pool,
    jobId: `7Q0ZK${pool.slice(0, 6).toUpperCase()}${(9_417 + i * 13).toString(36)}`,
    manager: "manager-1",
    client: "shop",
    worker: `${pool}-${(i % 3) + 1}`,
    attempt: i === 1 ? 2 : 1,
    state,
    ...(state === JobViewState.FAILED ? { error } : {}),
    submittedAt: timestampFromMs(Math.floor(endedMs - totalMs)),
    ...(isOver ? { endedAt: timestampFromMs(endedMs) } : {}),
    ...{ waitMs: totalMs / 5, runMs: (totalMs * 4) / 5, totalMs },
    ...{ payloadBytes: 112n, resultBytes: isOver && outcome === "ok" ? 16n : 0n },
  });
}

const MESSAGES = [
  "the bank says no",
  "https://api.example.com/v1/users/7 answered 503",
  "order 4711 has no address: a message that is longer than the line on which it has to stand, so it is cut",
];

function series(base: number) {
  const at = (i: number): number => base * (1 + 0.25 * Math.sin(i / 9) + (i > 120 && i < 134 ? 1.6 : 0));
  const of = (factor: number) => Array.from({ length: POINTS }, (_, i) => (i < 12 ? -1 : at(i) * factor));
  return { p50Ms: of(1), p95Ms: of(2.1), p99Ms: of(4.4) };
}
