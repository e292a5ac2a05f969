/** `poolmesh jobs`: the stored jobs of one pool that have not ended. */
import { type Command, Option } from "commander";
import { duration } from "../../browser/format.js";
import type { JobPageOptions } from "../../client/durable/job-list.js";
import { type JobLookup, MAX_PAGE } from "../../client/durable/job-reads.js";
import { checkName } from "../../mesh/wire/subjects.js";
import { EXIT } from "../exit-codes.js";
import { jsonLine } from "../output/json-text.js";
import { tableLines } from "../output/table.js";
import { addUrlOptions, type UrlFlags } from "../remote/remote-options.js";
import type { Shell } from "../shell.js";
import { addSpecs, BUS_SPECS, wholeNumber } from "../spec-options.js";
import { jobFields } from "./job-fields.js";
import { type LaneSource, withLaneSource } from "./lane-source.js";

const HELP = `
Lists the jobs of the durable lane in the order in which they were stored:
  queued    in the stream, no manager has it
  held      at a manager, for a slot
  running   at a worker
  retrying  it failed, and is not due yet
A job that has ended is no more in this list: see poolmesh job. Jobs of submit are not
stored, and are not here either.

Examples:
  poolmesh jobs invoice
  poolmesh jobs invoice --state retrying
  poolmesh jobs invoice --limit 10000 --json
  poolmesh jobs invoice --url https://manager:8080 --ca-file ca.pem --token-file ci.token`;

const DEFAULT_LIMIT = 100;

interface JobsFlags extends UrlFlags {
  readonly state?: Exclude<JobLookup["state"], "ended">;
  readonly limit?: number;
  readonly json?: boolean;
  readonly [name: string]: unknown;
}

export function define(command: Command, shell: Shell): void {
  const states = ["queued", "held", "running", "retrying"];
  command
    .argument("<POOL>", "the jobs' pool")
    .addOption(new Option("--state <STATE>", "only jobs in this state").choices(states))
    .option("--limit <N>", `at most so many (default ${DEFAULT_LIMIT})`, wholeNumber(1, 1_000_000))
    .option("--json", "print a JSON object for each")
    .addHelpText("after", HELP);
  addSpecs(command, BUS_SPECS);
  addUrlOptions(command, "ask this manager over HTTP; no connection to the broker is needed");
  command.action(async (pool: string, flags: JobsFlags) => {
    checkName("pool", pool);
    shell.exitCode = await withLaneSource(shell, flags, (source) => list(shell, source, pool, flags));
  });
}

async function list(shell: Shell, source: LaneSource, pool: string, flags: JobsFlags): Promise<number> {
  const limit = flags.limit ?? DEFAULT_LIMIT;
  const rows: JobLookup[] = [];
  let given = 0;
  let next: number | undefined = 0;
  while (next !== undefined && given < limit) {
    const options: JobPageOptions = {
      limit: Math.min(MAX_PAGE, limit - given),
      after: next,
      ...(flags.state === undefined ? {} : { state: flags.state }),
    };
    const page = await source.page(pool, options);
    for (const job of page.jobs) {
      if (flags.json) await shell.stdout.line(jsonLine(jobFields(job)));
      else rows.push(job);
    }
    given += page.jobs.length;
    next = page.next;
  }
  if (flags.json) return EXIT.ok;
  if (rows.length === 0) await shell.stderr.line(`poolmesh: no ${flags.state ?? "stored"} jobs in pool ${pool}`);
  else for (const line of tableOf(rows, Date.now())) await shell.stdout.line(line);
  if (next !== undefined) await shell.stderr.line(`poolmesh: there may be more: see --limit (now ${limit})`);
  return EXIT.ok;
}

function tableOf(jobs: readonly JobLookup[], nowMs: number): string[] {
  const columns = [
    { title: "JOB" },
    { title: "STATE" },
    { title: "PRIORITY" },
    { title: "AGE" },
    { title: "ATTEMPT", align: "right" as const },
    { title: "WORKER" },
  ];
  const rows = jobs.map(({ id, state, priority = "", enqueuedAt, attempt, maxAttempts, worker }) => {
    const age = enqueuedAt === undefined ? "" : duration(nowMs - enqueuedAt.getTime());
    const attempts = maxAttempts === undefined ? String(attempt) : `${attempt} of ${maxAttempts}`;
    return [id, state, priority, age, attempts, worker].map((text) => ({ text }));
  });
  return tableLines(columns, rows);
}
