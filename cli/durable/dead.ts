/** `poolmesh dead`: the dead letters of one pool, to look at, to run again, or to delete. */
import { type Command, InvalidArgumentError } from "commander";
import { duration } from "../../browser/format.js";
import type { DeadFilter } from "../../client/durable/dead-letters.js";
import { DurableLane } from "../../client/durable/operator.js";
import { isReason, PoolError, toPoolError } from "../../mesh/errors.js";
import { plainText } from "../../mesh/plain-text.js";
import { checkName } from "../../mesh/wire/subjects.js";
import { EXIT } from "../exit-codes.js";
import { withLink } from "../link.js";
import { type Fact, factLines } from "../output/facts.js";
import { jsonLine } from "../output/json-text.js";
import { errorFields, inputFields } from "../output/result-fields.js";
import { tableLines } from "../output/table.js";
import { addUrlOptions, readRemote, type UrlFlags } from "../remote/remote-options.js";
import type { Shell } from "../shell.js";
import type { DeadSource, ShownLetter } from "../sources/durable.js";
import { addSpecs, BUS_SPECS, wholeNumber } from "../spec-options.js";
import { refuseUnused } from "./unused.js";

const HELP = `
A job of the durable lane becomes a dead letter after its last failure. Actions:
  list    the dead letters, oldest first (the default)
  show    one of them, with its payload
  retry   run it again, as it was; its attempts begin anew
  purge   delete it

retry and purge take ids, or --reason, --older-than-ms or --all, not both.

Examples:
  poolmesh dead invoice
  poolmesh dead invoice show invoice-7
  poolmesh dead invoice retry invoice-7 invoice-8
  poolmesh dead invoice purge --reason job_rejected --older-than-ms 86400000
  poolmesh dead invoice --url https://manager:8080 --ca-file ca.pem --token-file ops.token`;

const ACTIONS = ["list", "show", "retry", "purge"] as const;
type Action = (typeof ACTIONS)[number];

interface DeadFlags extends UrlFlags {
  readonly reason?: string;
  readonly olderThanMs?: number;
  readonly all?: boolean;
  readonly limit?: number;
  readonly json?: boolean;
  readonly [name: string]: unknown;
}

export function define(command: Command, shell: Shell): void {
  command
    .argument("<POOL>", "the jobs' pool")
    .argument("[ACTION]", "list, show, retry or purge", action, "list")
    .argument("[JOB...]", "ids of jobs")
    .option("--reason <REASON>", "only those given up for this reason, such as job_failed", reason)
    .option("--older-than-ms <MS>", "only those given up at least so long ago", wholeNumber(0, 2 ** 42))
    .option("--all", "retry or purge all of them")
    .option("--limit <N>", "at most so many (default 1000)", wholeNumber(1, 100_000))
    .option("--json", "print a JSON object for each")
    .addHelpText("after", HELP);
  addSpecs(command, BUS_SPECS);
  addUrlOptions(command, "ask this manager over HTTP; no connection to the broker is needed");
  command.action(async (pool: string, what: Action, ids: string[], flags: DeadFlags) => {
    checkName("pool", pool);
    const remote = readRemote(shell, flags);
    if (remote.url !== undefined) {
      const { RemoteDead } = await import("../remote/durable/remote-dead.js");
      const { RemotePool } = await import("../remote/remote-pool.js");
      shell.exitCode = await run(
        shell,
        new RemoteDead(new RemotePool(shell, remote.url, remote, pool)),
        what,
        ids,
        flags,
      );
      return;
    }
    shell.exitCode = await withLink(shell, { ...flags, pool: undefined }, async ({ bus, subjects }) => {
      const lane = await DurableLane.open({ pool, connection: bus, prefix: subjects.prefix });
      try {
        const { dead } = lane;
        const source: DeadSource = {
          list: (filter) => dead.list(filter),
          get: (id) => dead.get(id),
          retry: (id) => dead.retry(id),
          purge: (id) => dead.purge(id),
          requireLane: async () => void (await lane.figures()),
        };
        return await run(shell, source, what, ids, flags);
      } finally {
        await lane.close();
      }
    });
  });
}

function run(shell: Shell, dead: DeadSource, what: Action, ids: string[], flags: DeadFlags): Promise<number> {
  const { reason: cause, olderThanMs, all, limit } = flags;
  const choice = { "--reason": cause, "--older-than-ms": olderThanMs, "--all": all, "--limit": limit };
  if (ids.length > 0) refuseUnused(`${what} with the ids of jobs`, choice);
  if (what === "show") refuseUnused(what, choice);
  if (what === "list") refuseUnused(what, { "--all": all });
  const filter: DeadFilter = {
    ...(ids.length === 0 ? {} : { ids }),
    ...(flags.reason === undefined ? {} : { reason: flags.reason }),
    ...(flags.olderThanMs === undefined ? {} : { olderThanMs: flags.olderThanMs }),
    ...(flags.limit === undefined ? {} : { limit: flags.limit }),
  };
  switch (what) {
    case "list":
      return list(shell, dead, filter, flags);
    case "show":
      return show(shell, dead, ids, flags);
    case "retry":
    case "purge":
      if (ids.length === 0 && flags.reason === undefined && flags.olderThanMs === undefined && !flags.all) {
        throw new PoolError("invalid_argument", `${what}: name jobs, or say --reason, --older-than-ms or --all`);
      }
      return change(shell, dead, what, filter, flags);
  }
}

async function list(shell: Shell, dead: DeadSource, filter: DeadFilter, flags: DeadFlags): Promise<number> {
  const letters: ShownLetter[] = [];
  let found = false;
  for await (const letter of dead.list(filter)) {
    found = true;
    if (flags.json) await shell.stdout.line(jsonLine(fieldsOf(letter)));
    else letters.push(letter);
  }
  if (!found) await sayNone(shell, dead, filter);
  for (const line of letters.length === 0 ? [] : tableOf(letters, Date.now(), shell.stdout.room))
    await shell.stdout.line(line);
  return EXIT.ok;
}

/** @throws PoolError `unknown_pool` */
async function sayNone(shell: Shell, dead: DeadSource, { ids, reason, olderThanMs }: DeadFilter): Promise<void> {
  await dead.requireLane();
  const isNarrow = ids !== undefined || reason !== undefined || olderThanMs !== undefined;
  await shell.stderr.line(`poolmesh: no dead letters${isNarrow ? " that match" : ""}`);
}

function tableOf(letters: readonly ShownLetter[], nowMs: number, room: number): string[] {
  const columns = [{ title: "JOB" }, { title: "DIED" }, { title: "ATTEMPT", align: "right" as const }];
  const hasCode = letters.some(({ error }) => error.jobCode !== undefined);
  const rows = letters.map(({ id, diedAt, attempt, error }) => {
    const code = hasCode ? [error.jobCode ?? ""] : [];
    const died = `${duration(nowMs - diedAt.getTime())} ago`;
    const cells = [id, died, String(attempt), error.reason, ...code, plainText(error.message, 60)];
    return cells.map((text) => ({ text }));
  });
  const code = hasCode ? [{ title: "CODE" }] : [];
  return tableLines([...columns, { title: "REASON" }, ...code, { title: "MESSAGE" }], rows, room);
}

async function show(shell: Shell, dead: DeadSource, ids: readonly string[], flags: DeadFlags): Promise<number> {
  if (ids.length === 0) throw new PoolError("invalid_argument", "show: name a job", { field: "job" });
  for (const id of ids) {
    const letter = await dead.get(id);
    if (letter === undefined) {
      await dead.requireLane();
      throw new PoolError("not_found", `no dead letter has the id ${id}`, { field: "job" });
    }
    if (flags.json) {
      await shell.stdout.line(jsonLine({ ...fieldsOf(letter), ...(letter.payload && inputFields(letter.payload)) }));
      continue;
    }
    const { error, attempt, priority, diedAt, payload } = letter;
    const rows: Fact[] = [
      ["job", id],
      ["died", diedAt.toISOString()],
      ["attempt", String(attempt)],
      ["priority", priority],
      ["reason", error.reason],
      ...(error.jobCode === undefined ? [] : [["code", error.jobCode] as const]),
      ["message", plainText(error.message, 600)],
      ["it ran", error.maybeExecuted ? "perhaps" : "to its error"],
      ["payload", payload === undefined ? "(you may not read it)" : plainText(Buffer.from(payload).toString(), 2_000)],
    ];
    for (const line of factLines(rows, shell.stdout.room)) await shell.stdout.line(line);
  }
  return EXIT.ok;
}

/** What is to be changed is listed first, so that what dies meanwhile is left alone. */
async function change(
  shell: Shell,
  dead: DeadSource,
  what: "retry" | "purge",
  filter: DeadFilter,
  flags: DeadFlags,
): Promise<number> {
  const ids = [...(filter.ids ?? [])];
  if (filter.ids === undefined) {
    for await (const { id } of dead.list(filter)) ids.push(id);
    if (ids.length === 0) await sayNone(shell, dead, filter);
  } else await dead.requireLane();
  let code: number = EXIT.ok;
  for (const id of ids) {
    try {
      if (what === "retry") await dead.retry(id);
      else await dead.purge(id);
      await shell.stdout.line(flags.json ? jsonLine({ id, [what]: true }) : id);
    } catch (thrown) {
      const error = toPoolError(thrown);
      code = EXIT.failed;
      if (flags.json) await shell.stdout.line(jsonLine({ id, error: errorFields(error) }));
      else await shell.stderr.line(`poolmesh: ${id}: ${error.reason}: ${error.message}`);
    }
  }
  return code;
}

function fieldsOf({ id, diedAt, attempt, priority, error }: ShownLetter): Record<string, unknown> {
  return { id, diedAt: diedAt.toISOString(), attempt, priority, error: errorFields(error) };
}

/** @throws InvalidArgumentError */
function action(text: string): Action {
  const found = ACTIONS.find((each) => each === text);
  if (found !== undefined) return found;
  throw new InvalidArgumentError(`Use one of ${ACTIONS.join(", ")}.`);
}

/** @throws InvalidArgumentError */
function reason(text: string): string {
  if (isReason(text)) return text;
  throw new InvalidArgumentError("Use a reason of the catalogue, such as job_failed.");
}
