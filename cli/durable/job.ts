/** `poolmesh job`: where one job stands, and how it ended: one at managers, or a stored one. */
import { type Command, Option } from "commander";
import { duration } from "../../browser/format.js";
import type { JobLookup } from "../../client/durable/job-reads.js";
import type { JobView } from "../../gen/poolmesh/v1/job_pb.js";
import { encodeNext, encodeThen } from "../../mesh/durable/after/then.js";
import { PoolError } from "../../mesh/errors.js";
import { plainText } from "../../mesh/plain-text.js";
import { checkName } from "../../mesh/wire/subjects.js";
import { EXIT } from "../exit-codes.js";
import { withJobSource } from "../inspect/job-source.js";
import { viewFields, viewLines } from "../inspect/view-fields.js";
import { type Fact, factLines } from "../output/facts.js";
import { jsonLine, utf8Text } from "../output/json-text.js";
import { RESULT_FORMS, type ResultForm } from "../output/result-fields.js";
import { addUrlOptions, type UrlFlags } from "../remote/remote-options.js";
import type { Shell } from "../shell.js";
import type { LaneSource } from "../sources/durable.js";
import { addSpecs, BUS_SPECS } from "../spec-options.js";
import { jobFields } from "./job-fields.js";
import { withLaneSource } from "./lane-source.js";

const HELP = `
Finds a job that a manager has or remembers, and one of the durable lane, and tells where it
stands or how it has ended. Managers remember the last jobs that have ended; the outcome of
a stored job is kept for 24 hours. Without a POOL all pools are looked through. Exits with 0
for a job that is known, however it ended, and with 1 for one that is not.

Payloads and results of jobs of submit are shown where managers run with --show-payloads.

Examples:
  poolmesh job render-7
  poolmesh job invoice invoice-7 --json
  poolmesh job invoice invoice-7 --url https://manager:8080 --ca-file ca.pem --token-file ci.token`;

interface JobFlags extends UrlFlags {
  readonly json?: boolean;
  readonly codec: ResultForm;
  readonly [name: string]: unknown;
}

export function define(command: Command, shell: Shell): void {
  command
    .usage("[options] [POOL] <JOB>")
    .argument("<POOL>", "the job's pool; may be left out")
    .argument("[JOB]", "the job's id")
    .option("--json", "print one JSON object")
    .addOption(
      new Option("--codec <FORM>", "with --json: how the result is shown").choices(RESULT_FORMS).default("auto"),
    )
    .addHelpText("after", HELP);
  addSpecs(command, BUS_SPECS);
  addUrlOptions(command, "ask this manager over HTTP; no connection to the broker is needed");
  command.action(async (first: string, second: string | undefined, flags: JobFlags) => {
    const [pool, id] = second === undefined ? [undefined, first] : [first, second];
    if (pool !== undefined) checkName("pool", pool);
    checkName("job", id);
    for (const line of await findLines(shell, pool, id, flags)) await shell.stdout.line(line);
    shell.exitCode = EXIT.ok;
  });
}

/** A stored job is told by its stream, which knows it longer; any other by its manager. */
async function findLines(shell: Shell, pool: string | undefined, id: string, flags: JobFlags): Promise<string[]> {
  const held = await withJobSource(shell, flags, (source) => source.get(pool, id)).catch(unlessNobody);
  if (held !== undefined && !held.durable) return viewLinesOf(shell, held, flags);
  const stored = await withLaneSource(shell, flags, (source) => findStored(source, held?.pool ?? pool, id));
  if (stored !== undefined) {
    return flags.json
      ? [jsonLine(jobFields(stored.job, flags.codec))]
      : linesOf(stored.pool, stored.job, Date.now(), shell.stdout.room);
  }
  if (held !== undefined) return viewLinesOf(shell, held, flags);
  const where = pool === undefined ? "" : ` of pool ${pool}`;
  const text = `no manager has or remembers a job${where} with this id`;
  // That there is no such lane says more than that there is no such job.
  if (pool !== undefined) await withLaneSource(shell, flags, (source) => source.lanes(pool)).catch(alsoSaying(text));
  throw new PoolError("not_found", `${text}, and none is stored`, { field: "job" });
}

function alsoSaying(text: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof PoolError) || error.reason !== "unknown_pool") throw error;
    throw new PoolError(error.reason, `${text}, and ${error.message}`, { field: "pool", cause: error });
  };
}

function viewLinesOf(shell: Shell, job: JobView, { json, codec }: JobFlags): string[] {
  return json ? [jsonLine(viewFields(job, codec))] : viewLines(job, Date.now(), shell.stdout.room);
}

/** Without a manager there are no jobs but stored ones. */
function unlessNobody(error: unknown): undefined {
  if (error instanceof PoolError && error.reason === "bus_unavailable" && /no manager/.test(error.message))
    return undefined;
  throw error;
}

/** @param pool undefined for any that has a stream */
async function findStored(
  source: LaneSource,
  pool: string | undefined,
  id: string,
): Promise<{ readonly pool: string; readonly job: JobLookup } | undefined> {
  const pools =
    pool === undefined
      ? await source.lanes(undefined).then(({ lanes }) => lanes.map((lane) => lane.pool), none)
      : [pool];
  for (const each of pools ?? []) {
    const job = await source.lookup(each, id).catch(none);
    if (job !== undefined) return { pool: each, job };
  }
  return undefined;
}

/** No such job, or no durable lane. */
function none(error: unknown): undefined {
  if (error instanceof PoolError && (error.reason === "not_found" || error.reason === "unknown_pool")) return undefined;
  throw error;
}

function linesOf(pool: string, job: JobLookup, nowMs: number, room: number): string[] {
  const { id, state, attempt, maxAttempts, worker, priority, runAt, enqueuedAt, endedAt, client, outcome } = job;
  const ago = (at: Date): string => `${at.toISOString()}, ${duration(nowMs - at.getTime())} ago`;
  const when = (at: Date): string => `${at.toISOString()}, ${untilText(at.getTime() - nowMs)}`;
  const rows: Fact[] = [["job", id]];
  const add = (label: string, text: string | undefined): unknown => text && rows.push([label, text]);
  add("state", outcome === undefined ? state : outcome.ok ? "ended: succeeded" : `ended: ${outcome.error.reason}`);
  add("attempt", maxAttempts === undefined ? String(attempt) : `${attempt} of ${maxAttempts}`);
  add("worker", worker);
  add("priority", priority);
  add("client", client);
  add("then", job.then && encodeThen(job.then));
  add("next", outcome?.ok ? outcome.result.next && encodeNext(outcome.result.next) : undefined);
  add("runs", runAt && when(runAt));
  add("enqueued", enqueuedAt && ago(enqueuedAt));
  add("ended", endedAt && ago(endedAt));
  if (outcome?.ok) add("result", shown(outcome.result.payload));
  else if (outcome !== undefined) {
    add("message", plainText(outcome.error.message, 600));
    if (outcome.error.maybeExecuted) add("it ran", "perhaps");
    if (outcome.error.reason !== "canceled") add("see", `poolmesh dead ${pool} show ${id}`);
  }
  return factLines(rows, room);
}

/** How far away a time is. */
export function untilText(ms: number): string {
  return ms > 0 ? `in ${duration(ms)}` : "due";
}

function shown(payload: Uint8Array): string {
  const text = utf8Text(payload);
  if (text === undefined) return `${payload.length} bytes that are no text; see --json`;
  return text === "" ? "(empty)" : plainText(text, 2_000);
}
