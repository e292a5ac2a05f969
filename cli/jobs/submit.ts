/** `poolmesh submit`: one job, its result on stdout. */
import type { Command } from "commander";
import { Client, type ClientOptions } from "../../client/client.js";
import { PoolError, toPoolError } from "../../mesh/errors.js";
import { CODECS } from "../../mesh/job/codec.js";
import type { Submitter } from "../../mesh/job/job.js";
import { pick } from "../../mesh/process/options.js";
import { checkName } from "../../mesh/wire/subjects.js";
import { EXIT, EXIT_CODES_HELP, exitCodeOf } from "../exit-codes.js";
import { type Link, withLink } from "../link.js";
import { failureLines } from "../output/failure-report.js";
import { indentedJson, isJson, jsonLine, utf8Text } from "../output/json-text.js";
import { errorFields, resultFields, roundMs } from "../output/result-fields.js";
import { addUrlOptions, readRemote, type UrlFlags } from "../remote/remote-options.js";
import type { Shell } from "../shell.js";
import { addSpecs, readOptions } from "../spec-options.js";
import { readAll } from "../stdin.js";
import { addJobOptions, type JobFlags, toSubmitOptions } from "./job-options.js";
import { type JobEnd, runOneJob } from "./one-job.js";
import { doubtOf, remoteDoubtOf, WaitNote } from "./wait-note.js";

const HELP = `
The result's bytes are printed as they are, with a line end on a terminal. An error
is one line on stderr: its reason and a message; on a terminal, also where the job
ran and what to do next. --codec json checks the payload before it is sent and prints
the result indented; with --json the result and what is known of the job are one JSON
object, an error too. JSON keeps its own text: no number is rounded, no key dropped.
A pool that no worker serves is an error at once, unless --wait-for-pool is given.

Examples:
  poolmesh submit adder 41
  echo '{"url":"https://example.com"}' | poolmesh submit fetch -
  poolmesh submit thumb - < photo.jpg > thumb.jpg
  poolmesh submit slow 60000 --timeout-ms 90000 --id nightly --json
  poolmesh submit adder 41 --url https://manager:8080 --ca-file ca.pem --token-file ci.token

${EXIT_CODES_HELP}`;

/** Of commands that send one job. */
export const LARGE_SPECS = pick(["largePayloads"]);

interface SubmitFlags extends JobFlags, UrlFlags {
  readonly id?: string;
  readonly json?: boolean;
  readonly direct?: boolean;
  readonly largePayloads?: boolean;
}

export function define(command: Command, shell: Shell): void {
  command
    .argument("<POOL>", "the pool that is to run it")
    .argument("<PAYLOAD>", 'the payload, or "-" for stdin')
    .option("--id <ID>", "the job's id; default made for it")
    .option("--json", "print one JSON object: id, result or error, worker, attempt, waitMs, totalMs")
    .option("--direct", "dispatch from this process instead of through a manager")
    .addHelpText("after", HELP);
  addSpecs(command, LARGE_SPECS);
  addJobOptions(command);
  addUrlOptions(command, "call this manager over HTTP; no connection to the broker is needed");
  command.action(async (pool: string, payload: string, flags: SubmitFlags) => {
    shell.exitCode = await runSubmit(shell, pool, payload, flags);
  });
}

async function runSubmit(shell: Shell, pool: string, argument: string, flags: SubmitFlags): Promise<number> {
  checkName("pool", pool);
  if (flags.id !== undefined) checkName("job", flags.id);
  const abort = new AbortController();
  const { signal } = abort;
  const offSignal = shell.onSignal((_signal, count) => (count > 1 ? shell.exitNow(EXIT.interrupted) : abort.abort()));
  const begunAt = performance.now();
  try {
    const isLarge = readLarge(shell, flags);
    const bytes = argument === "-" ? await readAll(shell, { isLarge, signal }) : new TextEncoder().encode(argument);
    const payload = checked(bytes, flags);
    const remote = readRemote(shell, flags);
    const end =
      remote.url === undefined
        ? await withLink(shell, { ...flags, pool: undefined }, (link) => run(shell, link, pool, payload, flags, signal))
        : await runRemote(shell, { ...flags, ...remote, url: remote.url }, pool, payload, signal);
    if (signal.aborted) return EXIT.interrupted;
    return end.error === undefined ? await printResult(shell, end, flags) : await printFailure(shell, pool, end, flags);
  } catch (error) {
    if (signal.aborted) return EXIT.interrupted;
    if (!flags.json) throw error;
    const totalMs = performance.now() - begunAt;
    const { id = "" } = flags;
    const end = { id, payload: undefined, error: toPoolError(error), worker: "", attempt: 0, waitMs: totalMs, totalMs };
    return printFailure(shell, pool, end, flags);
  } finally {
    offSignal();
  }
}

async function run(
  shell: Shell,
  link: Link,
  pool: string,
  payload: Uint8Array,
  flags: SubmitFlags,
  signal: AbortSignal,
): Promise<JobEnd> {
  const id = flags.id ?? link.bus.runtime.newId();
  const options = { ...toSubmitOptions(shell, flags), id, signal };
  const { largePayloads } = readOptions(shell, flags, LARGE_SPECS);
  if (largePayloads && flags.direct)
    throw contradiction("--direct: this process dispatches from the broker's messages");
  const to = { pool, connection: link.bus, prefix: link.subjects.prefix, largePayloads };
  const submitter = await connect(to, flags.direct ?? false);
  try {
    const note = new WaitNote(shell, doubtOf(link, pool));
    const { waitForPool = false } = flags;
    return await runOneJob({ link, submitter, pool, payload, options, waitForPool, note });
  } finally {
    await submitter.close();
  }
}

async function runRemote(
  shell: Shell,
  flags: SubmitFlags & { readonly url: string },
  pool: string,
  payload: Uint8Array,
  signal: AbortSignal,
): Promise<JobEnd> {
  if (flags.direct) {
    throw new PoolError("invalid_argument", "direct: contradicts --url: say one of them", { field: "direct" });
  }
  const id = flags.id === undefined ? {} : { id: flags.id };
  const options = { ...toSubmitOptions(shell, flags), ...id, signal };
  const { submitRemote } = await import("../remote/remote-submit.js");
  const { url, waitForPool = false } = flags;
  const note = new WaitNote(shell, remoteDoubtOf(url, flags, pool));
  if (waitForPool) note.begin();
  try {
    return await submitRemote({ url, flags, pool, payload, options, waitForPool });
  } finally {
    note.stop();
  }
}

async function connect(
  options: ClientOptions & { pool: string },
  direct: boolean,
): Promise<Submitter & { close(): Promise<void> }> {
  if (!direct) return Client.connect(options);
  const { Manager } = await import("../../services/manager/manager.js");
  return Manager.connect(options);
}

/** The payload as it was given, if it is what --codec says. @throws PoolError `invalid_argument` */
export function checked(payload: Uint8Array, { codec }: Pick<SubmitFlags, "codec">): Uint8Array {
  if (codec === "json" || codec === "text") CODECS[codec].decode(payload);
  return payload;
}

/** Prints the result of one job. @returns the exit code */
export async function printResult(
  shell: Shell,
  end: JobEnd,
  flags: Pick<SubmitFlags, "codec" | "json">,
): Promise<number> {
  const { stdout } = shell;
  const payload = end.payload ?? new Uint8Array();
  if (flags.json) {
    await stdout.line(jsonLine({ id: end.id, ...resultFields(payload, flags.codec), ...knownOf(end) }));
    return EXIT.ok;
  }
  const text = flags.codec === "json" ? utf8Text(payload) : undefined;
  if (text === "") await stdout.line("null");
  else if (text !== undefined && isJson(text)) await stdout.line(indentedJson(text));
  else {
    await stdout.write(payload);
    if (stdout.isTerminal && payload.at(-1) !== 0x0a) await stdout.write("\n");
    if (flags.codec === "json")
      await shell.stderr.line("poolmesh: the result is not valid JSON; it is printed as it came");
  }
  return EXIT.ok;
}

/** Prints how one job failed. @returns the exit code. @throws PoolError the failure itself, where it is one line */
export async function printFailure(
  shell: Shell,
  pool: string,
  end: JobEnd,
  flags: Pick<SubmitFlags, "json">,
): Promise<number> {
  const error = end.error ?? new PoolError("internal", "no result");
  if (flags.json) await shell.stdout.line(jsonLine({ id: end.id, error: errorFields(error), ...knownOf(end) }));
  else if (!shell.stderr.isTerminal) throw error;
  else for (const line of failureLines(shell.stderr, { ...end, pool, error })) await shell.stderr.line(line);
  return exitCodeOf(error);
}

function knownOf({ worker, attempt, waitMs, totalMs }: JobEnd): Record<string, unknown> {
  return { worker, attempt, waitMs: roundMs(waitMs), totalMs: roundMs(totalMs) };
}

/** Whether payloads may go through the object store. @throws PoolError `invalid_argument` together with --url */
export function readLarge(shell: Shell, flags: UrlFlags & { readonly largePayloads?: boolean }): boolean {
  const { largePayloads } = readOptions(shell, { largePayloads: flags.largePayloads }, LARGE_SPECS);
  if (flags.largePayloads && flags.url !== undefined) throw contradiction("--url: over HTTP there is no object store");
  return largePayloads;
}

function contradiction(what: string): PoolError {
  const message = `large-payloads: contradicts ${what}`;
  return new PoolError("invalid_argument", message, { field: "large-payloads" });
}
