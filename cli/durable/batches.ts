/** `poolmesh batches`: many stored jobs, and one that is enqueued when each of them has an outcome. */
import { type Command, InvalidArgumentError } from "commander";
import { Client } from "../../client/client.js";
import type { BatchOptions, OnComplete } from "../../client/durable/batches/batch-options.js";
import { DurableLane } from "../../client/durable/operator.js";
import { readStep } from "../../mesh/durable/after/then.js";
import { checkBatchId } from "../../mesh/durable/batches/batch-place.js";
import type { BatchStatus } from "../../mesh/durable/batches/batch-status.js";
import type { BatchPage } from "../../mesh/durable/batches/read-batches.js";
import { PoolError } from "../../mesh/errors.js";
import { parseJson } from "../../mesh/job/codec.js";
import { plainText } from "../../mesh/plain-text.js";
import { checkPriority, type Priority } from "../../mesh/wire/headers.js";
import { checkName } from "../../mesh/wire/subjects.js";
import { EXIT } from "../exit-codes.js";
import type { Groups } from "../jobs/map/feed.js";
import type { MapInput } from "../jobs/map/map-input.js";
import { openSource } from "../jobs/map/sources.js";
import { withLink } from "../link.js";
import { jsonLine } from "../output/json-text.js";
import { tableLines } from "../output/table.js";
import { addUrlOptions, readRemote, type UrlFlags } from "../remote/remote-options.js";
import type { Shell } from "../shell.js";
import type { BatchSource } from "../sources/durable.js";
import { addSpecs, BUS_SPECS, wholeNumber } from "../spec-options.js";

const HELP = `
A batch is many jobs of the durable lane, and one more, the completion job, which is enqueued
once, when each of them has an outcome: a result, a dead letter, or canceled. Actions:
  list     the batches of the pool (the default)
  show     how one of them stands, with the jobs that did not succeed
  enqueue  store a job for each line, under the batch's id

The payload of the completion job is a summary: total, succeeded, failed, canceled, and the
first hundred jobs that did not succeed. After a crash of anything give the same enqueue with the
same lines again: what has ended does not run again, and the rest is added.

Examples:
  seq 1000 | poolmesh batches adder enqueue november --on-complete mail
  poolmesh batches adder enqueue import-7 --lines rows.ndjson --on-complete mail:mail-7
  poolmesh batches adder
  poolmesh batches adder show november`;

const ACTIONS = ["list", "show", "enqueue"] as const;
type Action = (typeof ACTIONS)[number];

interface BatchFlags extends UrlFlags {
  readonly onComplete?: OnComplete;
  readonly context?: unknown;
  readonly lines?: string;
  readonly priority?: Priority;
  readonly timeoutMs?: number;
  readonly maxAttempts?: number;
  readonly key?: string;
  readonly client?: string;
  readonly open?: boolean;
  readonly limit?: number;
  readonly json?: boolean;
  readonly [name: string]: unknown;
}

export function define(command: Command, shell: Shell): void {
  command
    .argument("<POOL>", "the jobs' pool")
    .argument("[ACTION]", "list, show or enqueue", action, "list")
    .argument("[BATCH]", "the batch's id")
    .option("--on-complete <POOL[:ID]>", "enqueue: the pool of the completion job, and its id", onComplete)
    .option("--context <JSON>", "enqueue: what the completion job hears besides", context)
    .option("--lines <FILE>", "enqueue: a job for each line of this file; default stdin")
    .option("--priority <LEVEL>", "enqueue: high, normal or low", checkPriority)
    .option("--timeout-ms <MS>", "enqueue: time of one attempt", wholeNumber(1, 86_400_000))
    .option("--max-attempts <N>", "enqueue: failures until a job is given up", wholeNumber(1, 100))
    .option("--key <KEY>", "enqueue: jobs of the pool with this key share a limit: see poolmesh limits")
    .option("--client <NAME>", "enqueue: whose jobs they are")
    .option("--open", "list: without those that are completed")
    .option("--limit <N>", "list: at most so many (default 100)", wholeNumber(1, 10_000))
    .option("--json", "print a JSON object for each")
    .addHelpText("after", HELP);
  addSpecs(command, BUS_SPECS);
  addUrlOptions(command, "ask this manager over HTTP; no connection to the broker is needed");
  command.action(async (pool: string, what: Action, id: string | undefined, flags: BatchFlags) => {
    checkName("pool", pool);
    const remote = readRemote(shell, flags);
    if (remote.url !== undefined) {
      const { RemoteBatches } = await import("../remote/durable/remote-batches.js");
      return run(shell, new RemoteBatches(shell, remote.url, remote, pool), what, id, flags);
    }
    await withLink(shell, { ...flags, pool: undefined }, async ({ bus, subjects }) => {
      const where = { pool, connection: bus, prefix: subjects.prefix };
      const lane = await DurableLane.open(where);
      const client = await Client.connect(where);
      try {
        const source: BatchSource = {
          list: (options) => lane.batches.list(options),
          get: (batch) => lane.batches.get(batch),
          enqueue: async (payloads, options) => (await client.enqueueBatch(payloads, options)).status(),
        };
        await run(shell, source, what, id, flags);
      } finally {
        await client.close();
        await lane.close();
      }
    });
  });
}

async function run(
  shell: Shell,
  batches: BatchSource,
  what: Action,
  saidId: string | undefined,
  flags: BatchFlags,
): Promise<void> {
  shell.exitCode = EXIT.ok;
  if (what === "list") return list(shell, batches, flags);
  if (saidId === undefined) throw new PoolError("invalid_argument", `${what}: say the batch's id`, { field: "batch" });
  const id = checkBatchId(saidId);
  if (what === "show") return show(shell, await batches.get(id), flags);
  if (flags.onComplete === undefined) {
    throw new PoolError("invalid_argument", "enqueue: say --on-complete POOL", { field: "onComplete" });
  }
  const options = { ...toOptions(flags), id, onComplete: flags.onComplete };
  const { inputs } = await openSource(shell, { ...flags, codec: "auto" });
  const status = await batches.enqueue(payloadsOf(inputs), options);
  const text = `${status.id}: ${status.total} jobs, then ${status.completion.pool}:${status.completion.id}`;
  await shell.stdout.line(flags.json ? jsonLine({ ...fields(status) }) : text);
}

async function* payloadsOf(groups: Groups<MapInput>): AsyncGenerator<Uint8Array> {
  for await (const group of groups) for (const { payload } of group) yield payload;
}

function toOptions(flags: BatchFlags): Omit<BatchOptions, "id" | "onComplete"> {
  const { context: said, priority, timeoutMs, maxAttempts, key: concurrencyKey, client } = flags;
  const all = { context: said, priority, timeoutMs, maxAttempts, concurrencyKey, client };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

async function list(shell: Shell, batches: BatchSource, { limit = 100, open, json }: BatchFlags): Promise<void> {
  const found: BatchStatus[] = [];
  for (let after: number | undefined = 0; after !== undefined && found.length < limit; ) {
    const most = Math.min(1_000, limit - found.length);
    const page: BatchPage = await batches.list({ limit: most, after, openOnly: open === true });
    found.push(...page.batches);
    after = page.next;
  }
  if (json) {
    for (const status of found) await shell.stdout.line(jsonLine({ ...fields(status) }));
    return;
  }
  if (found.length === 0) return shell.stderr.line("poolmesh: no batches in this pool");
  const columns = ["BATCH", "STATE", "DONE", "FAILED", "CANCELED", "THEN"].map((title) => ({ title }));
  const rows = found.map((status) => {
    const { id, state, failed, canceled, completion } = status;
    const cells = [
      id,
      state,
      doneText(status),
      String(failed),
      String(canceled),
      `${completion.pool}:${completion.id}`,
    ];
    return cells.map((text) => ({ text }));
  });
  for (const line of tableLines(columns, rows)) await shell.stdout.line(line);
}

async function show(shell: Shell, status: BatchStatus, { json }: BatchFlags): Promise<void> {
  if (json) return shell.stdout.line(jsonLine({ ...fields(status) }));
  const { id, state, succeeded, failed, canceled, completion, client, openedAt, endedAt, failures } = status;
  const lines: [string, string][] = [
    ["batch", id],
    ["state", state],
    ["done", doneText(status)],
    ["succeeded", String(succeeded)],
    ["failed", String(failed)],
    ["canceled", String(canceled)],
    ["then", `${completion.pool}:${completion.id}`],
    ...(client === "" ? [] : [["client", plainText(client, 100)] as [string, string]]),
    ["opened", openedAt.toISOString()],
    ...(endedAt === undefined ? [] : [["ended", endedAt.toISOString()] as [string, string]]),
  ];
  for (const [name, text] of lines) await shell.stdout.line(`${name.padEnd(10)}${text}`);
  for (const { id: job, reason } of failures) await shell.stdout.line(`${"".padEnd(10)}${job}  ${reason}`);
}

/** How many jobs have an outcome, such as "12 of 40"; without the number of all while jobs are added. */
function doneText({ succeeded, failed, canceled, total }: BatchStatus): string {
  const done = succeeded + failed + canceled;
  return total === undefined ? String(done) : `${done} of ${total}`;
}

function fields({ openedAt, endedAt, client, ...status }: BatchStatus): Record<string, unknown> {
  return {
    ...status,
    ...(client === "" ? {} : { client }),
    openedAt: openedAt.toISOString(),
    ...(endedAt === undefined ? {} : { endedAt: endedAt.toISOString() }),
  };
}

/** @throws InvalidArgumentError */
function action(text: string): Action {
  const found = ACTIONS.find((each) => each === text);
  if (found !== undefined) return found;
  throw new InvalidArgumentError(`Use one of ${ACTIONS.join(", ")}.`);
}

/** @throws InvalidArgumentError */
function onComplete(text: string): OnComplete {
  try {
    const { pool, id } = readStep(text);
    return { pool, ...(id === undefined ? {} : { id }) };
  } catch {
    throw new InvalidArgumentError("Use POOL or POOL:ID.");
  }
}

/** @throws InvalidArgumentError */
function context(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    throw new InvalidArgumentError("It is no JSON.");
  }
}
