/** `poolmesh jobs --live`: the jobs that managers have now, and the last ones that they had. */
import { create } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { duration } from "../../browser/format.js";
import { stateText, stateWord } from "../../browser/job-words.js";
import {
  type JobFilter,
  type JobOrder,
  JobServiceListJobsRequestSchema,
  type JobView,
  JobViewState,
} from "../../gen/poolmesh/v1/job_pb.js";
import { MAX_PAGE } from "../../mesh/job/job-views.js";
import { plainText } from "../../mesh/plain-text.js";
import { EXIT } from "../exit-codes.js";
import { jsonLine } from "../output/json-text.js";
import type { Output } from "../output/output.js";
import { type Cell, tableLines } from "../output/table.js";
import type { Shell } from "../shell.js";
import type { JobSource } from "../sources/jobs.js";
import { viewFields, WORD_STYLES } from "./view-fields.js";

/** How they are listed. */
export interface LiveJobsOptions {
  readonly filter: JobFilter;
  readonly order: JobOrder;
  readonly limit: number;
  readonly json: boolean;
}

export async function listLiveJobs(shell: Shell, source: JobSource, options: LiveJobsOptions): Promise<number> {
  const { filter, order, limit, json } = options;
  const rows: JobView[] = [];
  const silent = new Set<string>();
  let given = 0;
  let pageToken: string | undefined;
  while (pageToken !== "" && given < limit) {
    const pageSize = Math.min(MAX_PAGE, limit - given);
    const request = create(JobServiceListJobsRequestSchema, { filter, order, pageSize, pageToken: pageToken ?? "" });
    const page = await source.list(request);
    for (const job of page.jobs) {
      if (json) await shell.stdout.line(jsonLine(viewFields(job)));
      else rows.push(job);
    }
    for (const manager of page.silent) silent.add(manager);
    given += page.jobs.length;
    pageToken = page.next;
  }
  const { stdout, stderr } = shell;
  if (rows.length > 0)
    for (const line of liveJobLines(stdout, rows, filter.pool === "", Date.now())) await stdout.line(line);
  else if (given === 0) await stderr.line(`poolmesh: ${nothingOf(filter)}`);
  if (pageToken !== "") await stderr.line(`poolmesh: there are more: see --limit (now ${limit})`);
  if (silent.size > 0) await stderr.line(`poolmesh: no answer from ${[...silent].join(", ")}: their jobs are missing`);
  return EXIT.ok;
}

function nothingOf({ pool, states, reason, client, worker, jobIdPrefix }: JobFilter): string {
  const isNarrow = [reason, client, worker, jobIdPrefix].some((each) => each !== "") || states.length > 0;
  const where = pool === "" ? "" : ` in pool ${pool}`;
  return isNarrow ? `no such job${where}` : `no manager has or remembers a job${where}`;
}

/** The table. @param withPool whether a column says the pool. @param nowMs wall clock, milliseconds since the epoch */
export function liveJobLines(out: Output, jobs: readonly JobView[], withPool: boolean, nowMs: number): string[] {
  const columns = [
    { title: "JOB" },
    ...(withPool ? [{ title: "POOL" }] : []),
    { title: "STATE" },
    { title: "AGE", align: "right" as const },
    { title: "WAITED", align: "right" as const },
    { title: "RAN", align: "right" as const },
    { title: "ATTEMPT", align: "right" as const },
    { title: "WORKER" },
    { title: "CLIENT" },
    { title: "MESSAGE" },
  ];
  const [titles = "", ...rows] = tableLines(
    columns,
    jobs.map((job) => cellsOf(out, job, withPool, nowMs)),
    out.room,
  );
  return [out.style("bold", titles), ...rows];
}

function cellsOf(out: Output, job: JobView, withPool: boolean, nowMs: number): Cell[] {
  const { submittedAt, attempt, error, worker } = job;
  const style = WORD_STYLES[stateWord(job.state)];
  const paint = style === undefined ? {} : { paint: (text: string) => out.style(style, text) };
  const age = submittedAt === undefined ? "" : duration(nowMs - timestampDate(submittedAt).getTime());
  const texts = [
    age,
    duration(job.waitMs),
    attempt === 0 || job.state === JobViewState.PARKED ? "" : duration(job.runMs),
    attempt === 0 ? "" : String(attempt),
    plainText(worker, 40),
    plainText(job.client, 30),
    plainText(error?.message ?? "", 60),
  ];
  return [
    { text: job.jobId },
    ...(withPool ? [{ text: job.pool }] : []),
    { text: stateText(job), ...paint },
    ...texts.map((text) => ({ text })),
  ];
}
