/** `poolmesh limits`: how many stored jobs of a pool or of a key run at once, or start in a time. */
import { type Command, InvalidArgumentError } from "commander";
import { DurableLane } from "../../client/durable/operator.js";
import {
  checkLimit,
  type Limit,
  MAX_PER_MS,
  MAX_RUNNING,
  MAX_STARTS,
  MIN_PER_MS,
} from "../../mesh/durable/limits/limit.js";
import { PoolError } from "../../mesh/errors.js";
import { checkName } from "../../mesh/wire/subjects.js";
import { EXIT } from "../exit-codes.js";
import { withLink } from "../link.js";
import { jsonLine } from "../output/json-text.js";
import { tableLines } from "../output/table.js";
import { addUrlOptions, readRemote, type UrlFlags } from "../remote/remote-options.js";
import type { Shell } from "../shell.js";
import type { LimitSource } from "../sources/durable.js";
import { addSpecs, BUS_SPECS, wholeNumber } from "../spec-options.js";
import { listOrNoLane } from "./lane-source.js";
import { refuseUnused } from "./unused.js";

const HELP = `
Limits jobs of the durable lane, at all managers together. A TARGET is:
  pool          all stored jobs of the pool
  each-key      the jobs of each key, for itself (see poolmesh enqueue --key)
  key:NAME      the jobs of one key, in place of each-key
A limit says how many of these jobs run at once, how many start within a time, or both. What
is over it waits, and other jobs go on. A change holds at once for jobs that begin from then on.

Examples:
  poolmesh limits mail set each-key --running 3
  poolmesh limits mail set key:tenant-7 --running 10 --starts 100 --per-ms 60000
  poolmesh limits mail set pool --starts 50
  poolmesh limits mail
  poolmesh limits mail remove key:tenant-7`;

const ACTIONS = ["list", "set", "remove"] as const;
type Action = (typeof ACTIONS)[number];

interface LimitFlags extends UrlFlags {
  readonly running?: number;
  readonly starts?: number;
  readonly perMs?: number;
  readonly json?: boolean;
  readonly [name: string]: unknown;
}

export function define(command: Command, shell: Shell): void {
  command
    .argument("<POOL>", "the jobs' pool")
    .argument("[ACTION]", "list, set or remove", action, "list")
    .argument("[TARGET]", "pool, each-key, or key:NAME")
    .option("--running <N>", "jobs at workers at once", wholeNumber(1, MAX_RUNNING))
    .option("--starts <N>", "jobs that start within --per-ms", wholeNumber(1, MAX_STARTS))
    .option("--per-ms <MS>", "the window of --starts, milliseconds (default 1000)", wholeNumber(MIN_PER_MS, MAX_PER_MS))
    .option("--json", "print a JSON object for each")
    .addHelpText("after", HELP);
  addSpecs(command, BUS_SPECS);
  addUrlOptions(command, "ask this manager over HTTP; no connection to the broker is needed");
  command.action(async (pool: string, what: Action, target: string | undefined, flags: LimitFlags) => {
    checkName("pool", pool);
    const remote = readRemote(shell, flags);
    if (remote.url !== undefined) {
      const { RemoteLimits } = await import("../remote/durable/remote-limits.js");
      const { RemotePool } = await import("../remote/remote-pool.js");
      return run(shell, new RemoteLimits(new RemotePool(shell, remote.url, remote, pool)), what, target, flags);
    }
    await withLink(shell, { ...flags, pool: undefined }, async ({ bus, subjects }) => {
      const lane = await DurableLane.open({ pool, connection: bus, prefix: subjects.prefix });
      try {
        const { limits } = lane;
        const source: LimitSource = {
          list: () => listOrNoLane(lane, () => limits.list()),
          set: (limit) => limits.set(limit),
          remove: (each) => limits.remove(each),
        };
        await run(shell, source, what, target, flags);
      } finally {
        await lane.close();
      }
    });
  });
}

async function run(
  shell: Shell,
  limits: LimitSource,
  what: Action,
  target: string | undefined,
  { running, starts, perMs, json }: LimitFlags,
): Promise<void> {
  shell.exitCode = EXIT.ok;
  if (what === "list") refuseUnused(what, { TARGET: target });
  if (what !== "set") refuseUnused(what, { "--running": running, "--starts": starts, "--per-ms": perMs });
  if (what === "list") return list(shell, await limits.list(), json === true);
  if (target === undefined) {
    throw new PoolError("invalid_argument", `${what}: say pool, each-key or key:NAME`, { field: "target" });
  }
  if (what === "remove") {
    await limits.remove(target);
    return shell.stdout.line(json ? jsonLine({ target, removed: true }) : `${target} has no limit of its own any more`);
  }
  const limit = checkLimit({ target, running, starts, perMs });
  await limits.set(limit);
  await shell.stdout.line(json ? jsonLine({ ...limit }) : `${target}: ${limitText(limit)}`);
}

async function list(shell: Shell, limits: readonly Limit[], json: boolean): Promise<void> {
  if (json) {
    for (const limit of limits) await shell.stdout.line(jsonLine({ ...limit }));
    return;
  }
  if (limits.length === 0) return shell.stderr.line("poolmesh: no limits in this pool");
  const columns = ["TARGET", "LIMIT"].map((title) => ({ title }));
  const rows = limits.map((limit) => [limit.target, limitText(limit)].map((text) => ({ text })));
  for (const line of tableLines(columns, rows, shell.stdout.room)) await shell.stdout.line(line);
}

/** A limit in words, such as "3 at once, 100 starts in 1 min". */
function limitText({ running, starts, perMs }: Limit): string {
  const words = [
    ...(running === undefined ? [] : [`${running} at once`]),
    ...(starts === undefined ? [] : [`${starts} starts in ${windowText(perMs)}`]),
  ];
  return words.join(", ");
}

/** In the largest unit that leaves nothing over. */
function windowText(ms = 1_000): string {
  const [size, unit] = WINDOW_UNITS.find(([each]) => ms % each === 0) ?? [1, "ms"];
  return `${ms / size} ${unit}`;
}

const WINDOW_UNITS = [
  [3_600_000, "h"],
  [60_000, "min"],
  [1_000, "s"],
] as const;

/** @throws InvalidArgumentError */
function action(text: string): Action {
  const found = ACTIONS.find((each) => each === text);
  if (found !== undefined) return found;
  throw new InvalidArgumentError(`Use one of ${ACTIONS.join(", ")}.`);
}
