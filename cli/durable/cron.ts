/** `poolmesh cron`: the cron schedules of one pool. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { CronOptions } from "../../client/durable/crons.js";
import { DurableLane } from "../../client/durable/operator.js";
import { encodeThen, type ThenStep } from "../../mesh/durable/after/then.js";
import { cronFields, toShown } from "../../mesh/durable/later/cron.js";
import { PoolError } from "../../mesh/errors.js";
import { checkName } from "../../mesh/wire/subjects.js";
import { EXIT } from "../exit-codes.js";
import { checked } from "../jobs/submit.js";
import { withLink } from "../link.js";
import { jsonLine } from "../output/json-text.js";
import { RESULT_FORMS, type ResultForm } from "../output/result-fields.js";
import { tableLines } from "../output/table.js";
import { addUrlOptions, readRemote, type UrlFlags } from "../remote/remote-options.js";
import type { Shell } from "../shell.js";
import type { CronSource } from "../sources/durable.js";
import { addSpecs, BUS_SPECS, wholeNumber } from "../spec-options.js";
import { readAll } from "../stdin.js";
import { listOrNoLane } from "./lane-source.js";
import { addStep } from "./steps.js";
import { refuseUnused } from "./unused.js";

const HELP = `
The broker fires, and a manager enqueues a job of the durable lane. It needs nats-server 2.14.
Actions:
  list    the schedules of the pool, by name (the default)
  set     sets one: NAME SCHEDULE PAYLOAD; one of the same name gives way
  remove  removes one; its jobs go on

A schedule has six fields: second, minute, hour, day of month, month, day of week. Five are
taken as in crontab. Or "@every 90s", "@hourly", "@daily", "@weekly", "@monthly", "@yearly".
NAME is the id of its jobs; while one of them has not ended, no other begins (--overlap).

Examples:
  poolmesh cron report
  poolmesh cron report set nightly '0 0 3 * * *' '{"kind":"full"}' --time-zone Europe/Berlin
  poolmesh cron report set digest @daily 1 --then mail
  poolmesh cron report set pulse '@every 90s' 1 --overlap allow
  poolmesh job report nightly
  poolmesh cron report remove nightly`;

const ACTIONS = ["list", "set", "remove"] as const;
type Action = (typeof ACTIONS)[number];

interface CronFlags extends UrlFlags {
  readonly timeZone?: string;
  readonly overlap?: "skip" | "allow";
  readonly priority?: "high" | "normal" | "low";
  readonly timeoutMs?: number;
  readonly maxAttempts?: number;
  readonly once?: boolean;
  readonly then?: readonly ThenStep[];
  readonly codec: ResultForm;
  readonly json?: boolean;
  readonly [name: string]: unknown;
}

export function define(command: Command, shell: Shell): void {
  command
    .argument("<POOL>", "the jobs' pool")
    .argument("[ACTION]", "list, set or remove", action, "list")
    .argument("[NAME]", "the schedule's name")
    .argument("[SCHEDULE]", "when it fires")
    .argument("[PAYLOAD]", 'the payload of its jobs, or "-" for stdin')
    .option("--time-zone <ZONE>", "an IANA name such as Europe/Berlin (default UTC)")
    .addOption(
      new Option("--overlap <WHAT>", "while its last job has not ended (default skip)").choices(["skip", "allow"]),
    )
    .addOption(new Option("--priority <WHICH>", "of its jobs (default normal)").choices(["high", "normal", "low"]))
    .option("--timeout-ms <MS>", "time of one attempt, milliseconds (default 30000)", wholeNumber(1, 86_400_000))
    .option("--max-attempts <N>", "failures until a job is a dead letter (default 5)", wholeNumber(1, 100))
    .option("--once", "never run a job a second time once it may have begun")
    .option("--then <POOL>", "its result is the payload of a job that follows; may be repeated", addStep)
    .option("--json", "print a JSON object for each")
    .addOption(new Option("--codec <FORM>", "how the payload is read").choices(RESULT_FORMS).default("auto"))
    .addHelpText("after", HELP);
  addSpecs(command, BUS_SPECS);
  addUrlOptions(command, "ask this manager over HTTP; no connection to the broker is needed");
  command.action(
    async (pool: string, what: Action, name?: string, schedule?: string, payload?: string, flags?: CronFlags) => {
      checkName("pool", pool);
      const given = { name, schedule, payload };
      const said = (flags ?? {}) as CronFlags;
      const remote = readRemote(shell, said);
      if (remote.url !== undefined) {
        const { RemoteCrons } = await import("../remote/durable/remote-crons.js");
        const { RemotePool } = await import("../remote/remote-pool.js");
        return run(shell, new RemoteCrons(new RemotePool(shell, remote.url, remote, pool)), what, given, said);
      }
      await withLink(shell, { ...said, pool: undefined }, async ({ bus, subjects }) => {
        const lane = await DurableLane.open({ pool, connection: bus, prefix: subjects.prefix });
        try {
          const { crons } = lane;
          const source: CronSource = {
            list: async () => (await listOrNoLane(lane, () => crons.list())).map(toShown),
            set: (bytes, options) => crons.set(bytes, options),
            remove: (each) => crons.remove(each),
          };
          await run(shell, source, what, given, said);
        } finally {
          await lane.close();
        }
      });
    },
  );
}

interface Given {
  readonly name: string | undefined;
  readonly schedule: string | undefined;
  readonly payload: string | undefined;
}

async function run(shell: Shell, crons: CronSource, what: Action, given: Given, flags: CronFlags): Promise<void> {
  shell.exitCode = EXIT.ok;
  const { name, schedule, payload: argument } = given;
  if (what === "list") refuseUnused(what, { NAME: name });
  if (what !== "set") refuseUnused(what, { SCHEDULE: schedule, PAYLOAD: argument, ...settingsOf(flags) });
  if (what === "list") return list(shell, crons, flags);
  if (name === undefined) throw new PoolError("invalid_argument", `${what}: name a schedule`, { field: "name" });
  if (what === "remove") {
    await crons.remove(name);
    return shell.stdout.line(flags.json ? jsonLine({ name, removed: true }) : `${name} is removed`);
  }
  if (schedule === undefined || argument === undefined) {
    const message = "set: say when it fires and the payload of its jobs: set NAME SCHEDULE PAYLOAD";
    throw new PoolError("invalid_argument", message, { field: schedule === undefined ? "schedule" : "payload" });
  }
  const payload = checked(argument === "-" ? await readAll(shell) : new TextEncoder().encode(argument), flags);
  const change = await crons.set(payload, { name, schedule, ...toOptions(flags) });
  await shell.stdout.line(flags.json ? jsonLine({ name, change }) : `${name} is ${change}`);
}

/** What only a schedule that is set has. */
function settingsOf(flags: CronFlags): Record<string, unknown> {
  const { overlap, priority, once } = flags;
  const times = { "--then": flags.then, "--time-zone": flags.timeZone, "--timeout-ms": flags.timeoutMs };
  return {
    ...times,
    "--overlap": overlap,
    "--priority": priority,
    "--max-attempts": flags.maxAttempts,
    "--once": once,
  };
}

function toOptions({
  timeZone,
  overlap,
  priority,
  timeoutMs,
  maxAttempts,
  once,
  then,
}: CronFlags): Partial<CronOptions> {
  const said = { timeZone, overlap, priority, timeoutMs, maxAttempts, then, ...(once ? { idempotent: false } : {}) };
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined));
}

async function list(shell: Shell, crons: CronSource, flags: CronFlags): Promise<void> {
  const found = await crons.list();
  if (flags.json) {
    for (const cron of found) await shell.stdout.line(jsonLine(cronFields(cron) as Record<string, unknown>));
    return;
  }
  if (found.length === 0) return shell.stderr.line("poolmesh: no cron schedules in this pool");
  const isFollowed = found.some(({ job }) => job.then.length > 0);
  const titles = ["NAME", "SCHEDULE", "ZONE", "OVERLAP", "PRIORITY", ...(isFollowed ? ["THEN"] : [])];
  const columns = titles.map((title) => ({ title }));
  const rows = found.map(({ name, schedule, timeZone, overlap, priority, job }) => {
    const zone = schedule.startsWith("@every") ? "" : timeZone || "UTC";
    const cells = [name, schedule, zone, overlap, priority, ...(isFollowed ? [encodeThen(job.then)] : [])];
    return cells.map((text) => ({ text }));
  });
  for (const line of tableLines(columns, rows, shell.stdout.room)) await shell.stdout.line(line);
}

/** @throws InvalidArgumentError */
function action(text: string): Action {
  const found = ACTIONS.find((each) => each === text);
  if (found !== undefined) return found;
  throw new InvalidArgumentError(`Use one of ${ACTIONS.join(", ")}.`);
}
