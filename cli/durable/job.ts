/** `poolmesh job`: where one stored job stands, and how it ended. */
import { type Command, Option } from "commander";
import { duration } from "../../browser/format.js";
import type { JobLookup } from "../../client/durable/job-reads.js";
import { PoolError } from "../../mesh/errors.js";
import { plainText } from "../../mesh/plain-text.js";
import { checkName } from "../../mesh/wire/subjects.js";
import { EXIT } from "../exit-codes.js";
import { jsonLine, utf8Text } from "../output/json-text.js";
import { RESULT_FORMS, type ResultForm } from "../output/result-fields.js";
import { addUrlOptions, type UrlFlags } from "../remote/remote-options.js";
import type { Shell } from "../shell.js";
import { addSpecs, BUS_SPECS } from "../spec-options.js";
import { jobFields } from "./job-fields.js";
import { withLaneSource } from "./lane-source.js";

const HELP = `
Tells of a job of the durable lane whether it is queued, held, running or retrying, or how
it has ended. An outcome is kept for 24 hours. Exits with 0 for a job that is known, however
it ended, and with 1 for one that is not.

Examples:
  poolmesh job invoice invoice-7
  poolmesh job invoice invoice-7 --json
  poolmesh job invoice invoice-7 --url https://manager:8080 --ca-file ca.pem --token-file ci.token`;

interface JobFlags extends UrlFlags {
  readonly json?: boolean;
  readonly codec: ResultForm;
  readonly [name: string]: unknown;
}

export function define(command: Command, shell: Shell): void {
  command
    .argument("<POOL>", "the job's pool")
    .argument("<JOB>", "the job's id")
    .option("--json", "print one JSON object")
    .addOption(
      new Option("--codec <FORM>", "with --json: how the result is shown").choices(RESULT_FORMS).default("auto"),
    )
    .addHelpText("after", HELP);
  addSpecs(command, BUS_SPECS);
  addUrlOptions(command, "ask this manager over HTTP; no connection to the broker is needed");
  command.action(async (pool: string, id: string, flags: JobFlags) => {
    checkName("pool", pool);
    checkName("job", id);
    const job = await withLaneSource(shell, flags, (source) =>
      source.lookup(pool, id).catch(async (error) => {
        // That there is no such lane says more than that there is no such job.
        if (error instanceof PoolError && error.reason === "not_found") await source.lanes(pool);
        throw error;
      }),
    );
    const lines = flags.json ? [jsonLine(jobFields(job, flags.codec))] : linesOf(pool, job, Date.now());
    for (const line of lines) await shell.stdout.line(line);
    shell.exitCode = EXIT.ok;
  });
}

function linesOf(pool: string, job: JobLookup, nowMs: number): string[] {
  const { id, state, attempt, maxAttempts, worker, priority, enqueuedAt, endedAt, client, outcome } = job;
  const ago = (at: Date): string => `${at.toISOString()}, ${duration(nowMs - at.getTime())} ago`;
  const rows: (readonly [label: string, text: string])[] = [["job", id]];
  const add = (label: string, text: string | undefined): unknown => text && rows.push([label, text]);
  add("state", outcome === undefined ? state : outcome.ok ? "ended: succeeded" : `ended: ${outcome.error.reason}`);
  add("attempt", maxAttempts === undefined ? String(attempt) : `${attempt} of ${maxAttempts}`);
  add("worker", worker);
  add("priority", priority);
  add("client", client);
  add("enqueued", enqueuedAt && ago(enqueuedAt));
  add("ended", endedAt && ago(endedAt));
  if (outcome?.ok) add("result", shown(outcome.result.payload));
  else if (outcome !== undefined) {
    add("message", plainText(outcome.error.message, 600));
    if (outcome.error.maybeExecuted) add("it ran", "perhaps");
    if (outcome.error.reason !== "canceled") add("see", `poolmesh dead ${pool} show ${id}`);
  }
  return rows.map(([label, text]) => `${label.padEnd(9)} ${text}`);
}

function shown(payload: Uint8Array): string {
  const text = utf8Text(payload);
  if (text === undefined) return `${payload.length} bytes that are no text; see --json`;
  return text === "" ? "(empty)" : plainText(text, 2_000);
}
