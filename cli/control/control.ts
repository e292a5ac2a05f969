/**
 * drain, pause, resume, resize: what the four commands share.
 *
 * Decided here: how a command names its workers, and how their answers are
 * shown. Not decided here: which workers that are (mesh/wire/worker-selection.ts).
 */
import { toJson } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { plural } from "../../browser/format.js";
import { type Heartbeat, HeartbeatSchema, WorkerState } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { PoolError } from "../../mesh/errors.js";
import { askControl } from "../../mesh/link/ask-control.js";
import { nearest } from "../../mesh/process/config.js";
import { OPTIONS } from "../../mesh/process/options.js";
import { checkName } from "../../mesh/wire/subjects.js";
import { type ControlVerb, type Selected, selectWorkers } from "../../mesh/wire/worker-selection.js";
import { EXIT, errorText } from "../exit-codes.js";
import { type Link, withLink } from "../link.js";
import { addUrlOptions, readRemote, type UrlFlags } from "../remote/remote-options.js";
import type { Shell } from "../shell.js";
import type { ControlCommand, Selection } from "../sources/control.js";
import { addSpecs, BUS_SPECS, wholeNumber } from "../spec-options.js";
import { poolsOf, rollCall } from "./roll-call.js";
import { unknownPool } from "./unknown-pool.js";

/** The flags that select workers, as commander gives them. */
export interface ControlFlags extends UrlFlags {
  readonly pool?: string;
  readonly label?: readonly string[];
  readonly count?: number;
  readonly json?: boolean;
}

/** How long a worker has to answer at once, in milliseconds. */
export const ANSWER_LIMIT_MS = 2_000;

/** Adds the argument and the flags that select workers. */
export function defineSelection(command: Command): void {
  command
    .argument("[WORKER]", "one worker; with --pool when the name is in several pools")
    .option("--pool <NAME>", "all workers of this pool")
    .option("--label <K=V>", "only workers with this label; may be repeated", collect)
    .option("--count <N>", "at most so many of them, idle ones first", wholeNumber(1, 100_000))
    .option("--json", "print the workers' states as a JSON array");
  addSpecs(command, BUS_SPECS);
}

/** Adds what the four commands have besides: another way to the workers. */
export function defineRemote(command: Command): void {
  addUrlOptions(command, "go through this manager over HTTP, with --pool");
}

/** Asks everyone meant and prints what became of each. Sets exit code 1 when one refused. */
export async function runControl(
  shell: Shell,
  worker: string | undefined,
  flags: ControlFlags,
  command: ControlCommand,
): Promise<void> {
  const selection = toSelection(worker, flags);
  const remote = readRemote(shell, flags);
  if (remote.url !== undefined) {
    const { controlRemote } = await import("../remote/remote-control.js");
    const states = await controlRemote(shell, remote.url, remote, selection, command);
    if (flags.json) await shell.stdout.line(statesJson(states));
    else for (const each of states) await shell.stdout.line(stateLine(each));
    return;
  }
  await withLink(shell, { ...flags, pool: undefined }, async (link) => {
    const { matching, chosen } = await findWorkers(link, selection, command.verb);
    if (chosen.length === 0) await shell.stderr.line(nothingToDo(matching, command.verb));
    const answers = await Promise.all(chosen.map((each) => ask(link, each, command)));
    const states = answers.filter((each): each is Heartbeat => !(each instanceof PoolError));
    if (flags.json) await shell.stdout.line(statesJson(states));
    for (const [i, answer] of answers.entries()) {
      const { pool, worker: name } = chosen[i] as Heartbeat;
      if (answer instanceof PoolError) {
        shell.exitCode = EXIT.failed;
        await shell.stderr.line(`poolmesh: ${pool}/${name}: ${errorText(answer)}`);
      } else if (!flags.json) await shell.stdout.line(stateLine(answer));
    }
  });
}

/**
 * The workers that answer and are meant.
 *
 * @throws PoolError `unknown_pool`, `not_found` when nobody matches, `invalid_argument` when a name is in several pools
 */
export async function findWorkers(link: Link, selection: Selection, verb: ControlVerb): Promise<Selected> {
  const workers = await rollCall(link, selection.pool);
  if (workers.length > 0 || selection.pool === undefined) return select(workers, selection, verb);
  throw unknownPool(selection.pool, poolsOf(await rollCall(link)));
}

/**
 * Whom a selection means among the workers that answered. Pure.
 *
 * @throws PoolError `not_found` when nobody matches, `invalid_argument` when a name is in several pools
 */
export function select(workers: readonly Heartbeat[], selection: Selection, verb: ControlVerb): Selected {
  const { worker } = selection;
  const named = workers.filter((each) => worker === undefined || each.worker === worker);
  if (worker !== undefined && named.length > 1) {
    const pools = named.map(({ pool }) => pool).join(", ");
    throw new PoolError("invalid_argument", `worker: the name is in pools ${pools}; add --pool`, { field: "worker" });
  }
  const selected = selectWorkers(named, selection, verb);
  if (selected.matching.length > 0) return selected;
  throw new PoolError("not_found", whyNobody(workers, named, worker), { field: "worker" });
}

function whyNobody(workers: readonly Heartbeat[], named: readonly Heartbeat[], worker: string | undefined): string {
  if (workers.length === 0) return "no worker answers; poolmesh doctor looks for the reason";
  if (named.length > 0 || worker === undefined) return "no worker that answers has these labels";
  const near = nearest(
    worker,
    workers.map((each) => each.worker),
  );
  return `no worker ${worker} answers; ${near === undefined ? "poolmesh workers lists those that do" : `did you mean ${near}?`}`;
}

function nothingToDo(matching: readonly Heartbeat[], verb: ControlVerb): string {
  const states = [...new Set(matching.map(({ state }) => WorkerState[state] ?? "?"))].join(", ");
  return `nothing to ${verb}: ${plural(matching.length, "worker")}, ${states}`;
}

/** @throws PoolError `invalid_argument` */
export function toSelection(worker: string | undefined, flags: ControlFlags): Selection {
  if (worker === undefined && flags.pool === undefined) {
    throw new PoolError("invalid_argument", "worker: name a WORKER, or say --pool POOL", { field: "worker" });
  }
  let labels: Record<string, string>;
  try {
    labels = OPTIONS.labels.parse((flags.label ?? []).join(",")) as Record<string, string>;
  } catch (error) {
    throw new PoolError("invalid_argument", `label: ${(error as Error).message}`, { field: "label" });
  }
  return {
    labels,
    ...(worker === undefined ? {} : { worker: checkName("worker", worker) }),
    ...(flags.pool === undefined ? {} : { pool: checkName("pool", flags.pool) }),
    ...(flags.count === undefined ? {} : { count: flags.count }),
  };
}

/** A worker in another language may answer with nothing: done, see my heartbeat. */
async function ask(link: Link, known: Heartbeat, command: ControlCommand): Promise<Heartbeat | PoolError> {
  const { request, limitMs } = command;
  const { pool, worker } = known;
  try {
    const response = await askControl(link.bus, link, { pool, worker, request, limitMs });
    if (response.worker !== undefined) return response.worker;
    return (await rollCall(link, pool)).find((each) => each.worker === worker) ?? known;
  } catch (error) {
    return error instanceof PoolError ? error : new PoolError("internal", "internal error", { cause: error });
  }
}

function statesJson(states: readonly Heartbeat[]): string {
  const json = states.map((each) => toJson(HeartbeatSchema, each));
  return JSON.stringify(json, null, 2);
}

function stateLine({ pool, worker, state, busy, slots }: Heartbeat): string {
  return `${pool}/${worker}  ${WorkerState[state] ?? "?"}  ${busy} of ${slots} slots busy`;
}

function collect(value: string, earlier: readonly string[] = []): string[] {
  return [...earlier, value];
}
