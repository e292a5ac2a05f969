/** `poolmesh jobs`: the stored jobs of one pool that have not ended; with --live the jobs at managers. */
import { type Command, Option } from "commander";
import { duration } from "../../browser/format.js";
import { STATE_WORDS, type StateWord } from "../../browser/job-words.js";
import type { JobPageOptions } from "../../client/durable/job-list.js";
import { type JobLookup, MAX_PAGE } from "../../client/durable/job-reads.js";
import { JobOrder } from "../../gen/poolmesh/v1/job_pb.js";
import { PoolError } from "../../mesh/errors.js";
import { checkName } from "../../mesh/wire/subjects.js";
import { EXIT } from "../exit-codes.js";
import { addFilterOptions, type FilterFlags, hasFilter, toFilter } from "../inspect/filter-flags.js";
import { withJobSource } from "../inspect/job-source.js";
import { listLiveJobs } from "../inspect/live-jobs.js";
import { jsonLine } from "../output/json-text.js";
import { tableLines } from "../output/table.js";
import { addUrlOptions, type UrlFlags } from "../remote/remote-options.js";
import type { Shell } from "../shell.js";
import type { LaneSource } from "../sources/durable.js";
import { addSpecs, BUS_SPECS, wholeNumber } from "../spec-options.js";
import { untilText } from "./job.js";
import { jobFields } from "./job-fields.js";
import { withLaneSource } from "./lane-source.js";

const HELP = `
Lists the jobs of the durable lane in the order in which they were stored:
  queued    in the stream, no manager has it
  held      at a manager, for a slot
  limited   at a manager, until its limits let it run: see poolmesh limits
  running   at a worker
  retrying  it failed, and is not due yet
Jobs that wait for their time are in a list of their own: --state scheduled.
A job that has ended is no more in this list: see poolmesh job.

With --live it lists the jobs that managers have now and the last ones that they had, of
submit and of the durable lane, the newest first. Without a POOL those of all pools:
  parked    at a manager, for a slot
  sent      to workers; none has said that it has it
  running   at a worker
  succeeded, failed

Examples:
  poolmesh jobs --live
  poolmesh jobs adder --live --state failed
  poolmesh jobs adder --live --slowest --limit 5
  poolmesh jobs invoice --state retrying
  poolmesh jobs invoice --state scheduled
  poolmesh jobs invoice --limit 10000 --json
  poolmesh jobs invoice --url https://manager:8080 --ca-file ca.pem --token-file ci.token`;

const DEFAULT_LIMIT = 100;

type StoredState = Exclude<JobLookup["state"], "ended">;
const STORED_STATES: readonly StoredState[] = ["scheduled", "queued", "held", "limited", "running", "retrying"];
const LIVE_STATES = Object.keys(STATE_WORDS) as StateWord[];

interface JobsFlags extends UrlFlags, FilterFlags {
  readonly state?: StoredState | StateWord;
  readonly live?: boolean;
  readonly slowest?: boolean;
  readonly limit?: number;
  readonly json?: boolean;
  readonly [name: string]: unknown;
}

export function define(command: Command, shell: Shell): void {
  const states = [...new Set<string>([...STORED_STATES, ...LIVE_STATES])];
  command
    .argument("[POOL]", "the jobs' pool; with --live it may be left out")
    .option("--live", "the jobs at managers: live ones, and the last that have ended")
    .addOption(new Option("--state <STATE>", "only jobs in this state").choices(states))
    .option("--limit <N>", `at most so many (default ${DEFAULT_LIMIT})`, wholeNumber(1, 1_000_000))
    .option("--json", "print a JSON object for each")
    .addHelpText("after", HELP);
  const slowest = new Option("--slowest", "of the jobs that ended within the last minute the slowest ones, first");
  command.addOption(slowest.helpGroup("With --live:"));
  addFilterOptions(command, "With --live:");
  addSpecs(command, BUS_SPECS);
  addUrlOptions(command, "ask this manager over HTTP; no connection to the broker is needed");
  command.action(async (pool: string | undefined, flags: JobsFlags) => {
    if (pool !== undefined) checkName("pool", pool);
    shell.exitCode = flags.live ? await listLive(shell, pool, flags) : await listStored(shell, pool, flags);
  });
}

function listLive(shell: Shell, pool: string | undefined, flags: JobsFlags): Promise<number> {
  const state = LIVE_STATES.find((each) => each === flags.state);
  if (flags.state !== undefined && state === undefined) throw wrongState(flags.state, "with --live", LIVE_STATES);
  const filter = toFilter(pool, state, flags);
  const order = flags.slowest ? JobOrder.SLOWEST : JobOrder.UNSPECIFIED;
  const options = { filter, order, limit: flags.limit ?? DEFAULT_LIMIT, json: flags.json ?? false };
  return withJobSource(shell, flags, (source) => listLiveJobs(shell, source, options));
}

function listStored(shell: Shell, pool: string | undefined, flags: JobsFlags): Promise<number> {
  const state = STORED_STATES.find((each) => each === flags.state);
  if (flags.state !== undefined && state === undefined) throw wrongState(flags.state, "without --live", STORED_STATES);
  if (hasFilter(flags) || flags.slowest) {
    const text =
      "live: say --live with --slowest, --reason, --client, --worker and --id-prefix: it is not for stored jobs";
    throw new PoolError("invalid_argument", text, { field: "live" });
  }
  if (pool === undefined) {
    const text =
      "pool: name the pool whose stored jobs are listed, or say --live for the jobs of all pools at managers";
    throw new PoolError("invalid_argument", text, { field: "pool" });
  }
  return withLaneSource(shell, flags, (source) => list(shell, source, pool, state, flags)).catch(nameLive);
}

/** Who has no durable lane means the other jobs. */
function nameLive(error: unknown): never {
  if (!(error instanceof PoolError) || error.reason !== "unknown_pool") throw error;
  throw new PoolError(error.reason, `${error.message}; --live lists the jobs at managers`, { cause: error });
}

function wrongState(state: string, how: string, known: readonly string[]): PoolError {
  return new PoolError("invalid_argument", `state: ${state} is none ${how}: use ${known.join(", ")}`, {
    field: "state",
  });
}

async function list(
  shell: Shell,
  source: LaneSource,
  pool: string,
  state: StoredState | undefined,
  flags: JobsFlags,
): Promise<number> {
  const limit = flags.limit ?? DEFAULT_LIMIT;
  const rows: JobLookup[] = [];
  let given = 0;
  let next: number | undefined = 0;
  while (next !== undefined && given < limit) {
    const options: JobPageOptions = {
      limit: Math.min(MAX_PAGE, limit - given),
      after: next,
      ...(state === undefined ? {} : { state }),
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
  if (rows.length === 0) await shell.stderr.line(`poolmesh: no ${state ?? "stored"} jobs in pool ${pool}`);
  else for (const line of tableOf(rows, Date.now(), shell.stdout.room)) await shell.stdout.line(line);
  if (next !== undefined) await shell.stderr.line(`poolmesh: there may be more: see --limit (now ${limit})`);
  return EXIT.ok;
}

function tableOf(jobs: readonly JobLookup[], nowMs: number, room: number): string[] {
  const columns = [
    { title: "JOB" },
    { title: "STATE" },
    { title: "PRIORITY" },
    { title: "AGE" },
    { title: "ATTEMPT", align: "right" as const },
  ];
  const isLater = jobs.some(({ runAt }) => runAt !== undefined);
  const rows = jobs.map(({ id, state, priority = "", enqueuedAt, runAt, attempt, maxAttempts, worker }) => {
    const age = enqueuedAt === undefined ? "" : duration(nowMs - enqueuedAt.getTime());
    const attempts = maxAttempts === undefined ? String(attempt) : `${attempt} of ${maxAttempts}`;
    const last = isLater ? runAt && untilText(runAt.getTime() - nowMs) : worker;
    return [id, state, priority, age, attempts, last ?? ""].map((text) => ({ text }));
  });
  return tableLines([...columns, { title: isLater ? "RUNS" : "WORKER" }], rows, room);
}
