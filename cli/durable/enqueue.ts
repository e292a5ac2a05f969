/** `poolmesh enqueue`: stores one job in the durable lane, and waits for its result when asked to. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { Client } from "../../client/client.js";
import type { EnqueueOptions } from "../../client/durable/enqueue-options.js";
import type { Receipt } from "../../client/durable/receipt.js";
import type { ThenStep } from "../../mesh/durable/after/then.js";
import { checkRunTime, MAX_AHEAD_MS } from "../../mesh/durable/later/run-time.js";
import { toPoolError } from "../../mesh/errors.js";
import { checkName } from "../../mesh/wire/subjects.js";
import { EXIT, EXIT_CODES_HELP } from "../exit-codes.js";
import type { JobEnd } from "../jobs/one-job.js";
import { checked, LARGE_SPECS, printFailure, printResult, readLarge } from "../jobs/submit.js";
import { withLink } from "../link.js";
import { jsonLine } from "../output/json-text.js";
import { RESULT_FORMS, type ResultForm } from "../output/result-fields.js";
import { addUrlOptions, readRemote, type UrlFlags } from "../remote/remote-options.js";
import type { Shell } from "../shell.js";
import { addSpecs, BUS_SPECS, wholeNumber } from "../spec-options.js";
import { readAll } from "../stdin.js";
import { addStep } from "./steps.js";

const HELP = `
The job is stored when this prints its id: it survives this command, every manager and
every worker, and the broker's process. It needs a manager with --durable to run; none
has to be there now. A job whose handler fails is run again, after a wait that doubles;
after its last failure it is a dead letter (see poolmesh dead). A handler must bear to
run twice, unless --once is given. A job for later is stored by a manager, which must be there.
With --then, --wait waits for the last job that follows; none follows one that is given up.

Examples:
  poolmesh enqueue adder 41
  poolmesh enqueue adder 41 --wait
  poolmesh enqueue render '{"page":7}' --then print --then archive:page-7
  poolmesh enqueue report '{"month":11}' --run-at 2026-12-01T06:00:00Z
  poolmesh enqueue reminder 7 --delay-ms 3600000
  poolmesh enqueue mail 7 --key tenant-7
  poolmesh enqueue invoice - --id invoice-2026-0817 --max-attempts 10 < invoice.json
  poolmesh enqueue adder 41 --url https://manager:8080 --ca-file ca.pem --token-file ci.token

${EXIT_CODES_HELP}`;

const MAX_MS = 2_147_483_647;

interface EnqueueFlags extends UrlFlags {
  readonly id?: string;
  readonly wait?: boolean;
  readonly waitMs?: number;
  readonly json?: boolean;
  readonly codec: ResultForm;
  readonly priority: "high" | "normal" | "low";
  readonly timeoutMs?: number;
  readonly expiresInMs?: number;
  readonly maxAttempts?: number;
  readonly backoff?: EnqueueOptions["backoff"];
  readonly once?: boolean;
  readonly rerun?: boolean;
  readonly runAt?: Date;
  readonly delayMs?: number;
  readonly then?: readonly ThenStep[];
  readonly client?: string;
  readonly largePayloads?: boolean;
  readonly key?: string;
  readonly [name: string]: unknown;
}

export function define(command: Command, shell: Shell): void {
  const levels = ["high", "normal", "low"];
  command
    .argument("<POOL>", "the pool that is to run it")
    .argument("<PAYLOAD>", 'the payload, or "-" for stdin')
    .option("--id <ID>", "the job's id: a second job with it is the same job; default made for it")
    .option("--wait", "wait for the outcome and print it, as submit does")
    .option("--wait-ms <MS>", "wait so long at most, milliseconds; the job goes on", wholeNumber(1, MAX_MS))
    .addOption(new Option("--priority <WHICH>", "who goes first").choices(levels).default("normal"))
    .option("--timeout-ms <MS>", "time of one attempt, milliseconds (default 30000)", wholeNumber(1, 86_400_000))
    .option("--expires-in-ms <MS>", "not started later than this, milliseconds; default never", wholeNumber(1, MAX_MS))
    .option("--max-attempts <N>", "failures until it is a dead letter (default 5)", wholeNumber(1, 100))
    .option("--backoff <BASE-CAP>", "wait after the first failure and longest wait, ms (default 1000-600000)", backoff)
    .option("--once", "never run it a second time once it may have begun")
    .option("--run-at <TIME>", "not before this time, such as 2026-12-24T18:00:00Z; needs nats-server 2.12", instant)
    .option("--delay-ms <MS>", "the same as a time from now, milliseconds", wholeNumber(0, MAX_AHEAD_MS))
    .option("--key <KEY>", "jobs of the pool with this key share a limit: see poolmesh limits")
    .option("--then <POOL[:ID]>", "its result is the payload of a job that follows; may be repeated", addStep)
    .option("--rerun", "run it again although an outcome is kept under its id")
    .option("--client <NAME>", "whose turn it is among parked jobs")
    .option("--json", "print one JSON object: the receipt, or with --wait the outcome")
    .addOption(new Option("--codec <FORM>", "how payloads are read and shown").choices(RESULT_FORMS).default("auto"))
    .addHelpText("after", HELP);
  addSpecs(command, { ...LARGE_SPECS, ...BUS_SPECS });
  addUrlOptions(command, "call this manager over HTTP; no connection to the broker is needed");
  command.action(async (pool: string, payload: string, flags: EnqueueFlags) => {
    shell.exitCode = await runEnqueue(shell, pool, payload, flags);
  });
}

async function runEnqueue(shell: Shell, pool: string, argument: string, flags: EnqueueFlags): Promise<number> {
  checkName("pool", pool);
  const abort = new AbortController();
  const { signal } = abort;
  const offSignal = shell.onSignal((_signal, count) => (count > 1 ? shell.exitNow(EXIT.interrupted) : abort.abort()));
  try {
    const largePayloads = readLarge(shell, flags);
    const bytes =
      argument === "-" ? await readAll(shell, { isLarge: largePayloads, signal }) : new TextEncoder().encode(argument);
    const payload = checked(bytes, flags);
    const remote = readRemote(shell, flags);
    if (remote.url !== undefined) {
      const { enqueueRemote } = await import("../remote/durable/remote-enqueue.js");
      const receipt = await enqueueRemote(remote.url, remote, pool, payload, toOptions(flags));
      return await report(shell, pool, receipt, flags, signal);
    }
    return await withLink(shell, { ...flags, pool: undefined }, async ({ bus, subjects }) => {
      const client = await Client.connect({ pool, connection: bus, prefix: subjects.prefix, largePayloads });
      try {
        const receipt = await client.enqueue(payload, toOptions(flags));
        return await report(shell, pool, receipt, flags, signal);
      } finally {
        await client.close();
      }
    });
  } catch (error) {
    if (signal.aborted) return EXIT.interrupted;
    throw error;
  } finally {
    offSignal();
  }
}

async function report(
  shell: Shell,
  pool: string,
  receipt: Receipt,
  flags: EnqueueFlags,
  signal: AbortSignal,
): Promise<number> {
  const { id, sequence, duplicate, runAt } = receipt;
  if (!flags.wait && flags.waitMs === undefined) {
    const time = runAt === undefined ? {} : { runAt: runAt.toISOString() };
    await shell.stdout.line(flags.json ? jsonLine({ id, sequence, duplicate, ...time }) : id);
    return EXIT.ok;
  }
  const begunAt = performance.now();
  const limit = flags.waitMs === undefined ? {} : { timeoutMs: flags.waitMs };
  try {
    const result = await receipt.last({ ...limit, signal });
    const { payload, worker, attempt, waitMs, totalMs } = result;
    const end: JobEnd = { id: result.id, payload, error: undefined, worker, attempt, waitMs, totalMs };
    return await printResult(shell, end, flags);
  } catch (thrown) {
    if (signal.aborted) return EXIT.interrupted;
    const totalMs = performance.now() - begunAt;
    const error = toPoolError(thrown);
    const end: JobEnd = { id, payload: undefined, error, worker: "", attempt: 0, waitMs: totalMs, totalMs };
    return printFailure(shell, pool, end, flags);
  }
}

function toOptions(flags: EnqueueFlags): EnqueueOptions {
  const { id, priority, timeoutMs, expiresInMs, maxAttempts, backoff: wait, once, rerun, client } = flags;
  const { runAt, delayMs, then, key: concurrencyKey } = flags;
  const times = { timeoutMs, expiresInMs, backoff: wait, runAt, delayMs };
  const said = { id, maxAttempts, rerun, client, concurrencyKey, then, ...times };
  const given = Object.entries(said).filter(([, value]) => value !== undefined);
  return { ...Object.fromEntries(given), priority, idempotent: !once };
}

/** @throws InvalidArgumentError */
function instant(text: string): Date {
  try {
    const time = checkRunTime(text, undefined, Date.now());
    if (time !== undefined && "at" in time) return new Date(time.at);
  } catch {
    // told below
  }
  throw new InvalidArgumentError("Use a time with its zone, such as 2026-12-24T18:00:00Z, at most ten years ahead.");
}

/** @throws InvalidArgumentError */
function backoff(text: string): EnqueueOptions["backoff"] {
  const [, base = "", cap = ""] = /^(\d+)-(\d+)$/.exec(text) ?? [];
  if (base === "") throw new InvalidArgumentError("Use two numbers of milliseconds, such as 1000-600000.");
  const ms = wholeNumber(0, MAX_MS);
  return { baseMs: ms(base), capMs: ms(cap) };
}
