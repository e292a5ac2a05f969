/** `poolmesh submit`: one job, its result on stdout. */
import type { Command } from "commander";
import { Client, type ClientOptions } from "../../client/client.js";
import { PoolError, toPoolError } from "../../mesh/errors.js";
import type { JobResult, SubmitOptions, Submitter } from "../../mesh/job/job.js";
import { checkName } from "../../mesh/names.js";
import { CODECS } from "../../mesh/wire/codec.js";
import { EXIT, EXIT_CODES_HELP, exitCodeOf } from "../exit-codes.js";
import { errorFields, resultFields, roundMs } from "../output/result-fields.js";
import type { Shell } from "../shell.js";
import { readOptions, toCliBus } from "../spec-options.js";
import { addJobOptions, JOB_SPECS, type JobFlags, toSubmitOptions } from "./job-options.js";

const HELP = `
The result's bytes are printed as they are, with a line end on a terminal. An error
is one line on stderr: its reason and a message. --codec json checks the payload
before it is sent and prints the result indented; with --json the result and what is
known of the job are one JSON object, an error too.

Examples:
  poolmesh submit adder 41
  echo '{"url":"https://example.com"}' | poolmesh submit fetch -
  poolmesh submit thumb - < photo.jpg > thumb.jpg
  poolmesh submit slow 60000 --timeout-ms 90000 --id nightly --json

${EXIT_CODES_HELP}`;

/** The largest payload that is read from stdin, in bytes: more than any broker takes. */
const MAX_STDIN_BYTES = 64 * 2 ** 20;

interface SubmitFlags extends JobFlags {
  readonly id?: string;
  readonly json?: boolean;
  readonly direct?: boolean;
}

export function define(command: Command, shell: Shell): void {
  command
    .argument("<POOL>", "the pool that is to run it")
    .argument("<PAYLOAD>", 'the payload, or "-" for stdin')
    .option("--id <ID>", "the job's id; default made for it")
    .option("--json", "print one JSON object: result or error, id, worker, attempt, times")
    .option("--direct", "dispatch from this process instead of through a manager")
    .addHelpText("after", HELP);
  addJobOptions(command);
  command.action(async (pool: string, payload: string, flags: SubmitFlags) => {
    shell.exitCode = await runSubmit(shell, pool, payload, flags);
  });
}

async function runSubmit(shell: Shell, pool: string, argument: string, flags: SubmitFlags): Promise<number> {
  checkName("pool", pool);
  const abort = new AbortController();
  const options = { ...toSubmitOptions(shell, flags), ...(flags.id === undefined ? {} : { id: flags.id }) };
  const offSignal = shell.onSignal((_signal, count) => (count > 1 ? shell.exitNow(EXIT.interrupted) : abort.abort()));
  try {
    const payload = check(argument === "-" ? await readAll(shell) : new TextEncoder().encode(argument), flags);
    const result = await submit(shell, pool, payload, { ...options, signal: abort.signal }, flags);
    await print(shell, result, flags);
    return EXIT.ok;
  } catch (error) {
    if (abort.signal.aborted) return EXIT.interrupted;
    if (!flags.json) throw error;
    await shell.stdout.line(
      JSON.stringify({ ...(flags.id ? { id: flags.id } : {}), error: errorFields(toPoolError(error)) }),
    );
    return exitCodeOf(error);
  } finally {
    offSignal();
  }
}

async function submit(
  shell: Shell,
  pool: string,
  payload: Uint8Array,
  options: SubmitOptions,
  flags: SubmitFlags,
): Promise<JobResult> {
  const config = readOptions(shell, flags, JOB_SPECS);
  const submitter = await connect(pool, { ...toCliBus(config), prefix: config.prefix }, flags.direct ?? false);
  try {
    return await submitter.submit(payload, options);
  } finally {
    await submitter.close();
  }
}

async function connect(
  pool: string,
  options: ClientOptions,
  direct: boolean,
): Promise<Submitter & { close(): Promise<void> }> {
  if (!direct) return Client.connect(pool, options);
  const { Manager } = await import("../../services/manager/manager.js");
  return Manager.connect(pool, options);
}

function check(payload: Uint8Array, { codec }: SubmitFlags): Uint8Array {
  if (codec === "json" || codec === "text") CODECS[codec].decode(payload);
  return payload;
}

async function print(shell: Shell, result: JobResult, flags: SubmitFlags): Promise<void> {
  const { stdout } = shell;
  if (flags.json) {
    const { id, worker, attempt, waitMs, totalMs, payload } = result;
    const times = { waitMs: roundMs(waitMs), totalMs: roundMs(totalMs) };
    return stdout.line(JSON.stringify({ id, ...resultFields(payload, flags.codec), worker, attempt, ...times }));
  }
  if (flags.codec === "json") return stdout.line(JSON.stringify(result.json() ?? null, null, 2));
  await stdout.write(result.payload);
  if (stdout.isTerminal && result.payload.at(-1) !== 0x0a) await stdout.write("\n");
}

async function readAll({ stdin }: Shell): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stdin as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_STDIN_BYTES) {
      throw new PoolError("payload_too_large", `payload: stdin has more than ${MAX_STDIN_BYTES} bytes`, {
        field: "payload",
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
