/**
 * drain, pause, resume, resize: what the four commands share.
 *
 * Decided here: whom a command means, and how its answers are shown. When only
 * some are wanted, idle workers go first, so that scaling in kills no work.
 */
import { toJson } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { type Heartbeat, HeartbeatSchema, WorkerState } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { PoolError } from "../../mesh/errors.js";
import { askControl, type ControlQuestion } from "../../mesh/link/ask-control.js";
import { checkName } from "../../mesh/names.js";
import { OPTIONS } from "../../mesh/process/options.js";
import { EXIT, errorText } from "../exit-codes.js";
import { type Link, withLink } from "../link.js";
import type { Shell } from "../shell.js";
import { addSpecs, BUS_SPECS, wholeNumber } from "../spec-options.js";
import { rollCall } from "./roll-call.js";

/** Whom a command is for. */
export interface Selection {
  readonly worker?: string;
  readonly pool?: string;
  readonly labels: Readonly<Record<string, string>>;
  /** At most this many, the least busy first. */
  readonly count?: number;
}

/** One of the four commands. */
export interface ControlVerb {
  readonly request: ControlQuestion["request"];
  /** Whether it can be asked of a worker in this state. */
  readonly fits: (state: WorkerState) => boolean;
  /** How long each worker has to answer, in milliseconds. */
  readonly limitMs: number;
}

/** The flags that select workers, as commander gives them. */
export interface ControlFlags {
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

/** Asks everyone meant and prints what became of each. Sets exit code 1 when one refused. */
export async function runControl(
  shell: Shell,
  worker: string | undefined,
  flags: ControlFlags,
  verb: ControlVerb,
): Promise<void> {
  const selection = toSelection(worker, flags);
  await withLink(shell, { ...flags, pool: undefined }, async (link) => {
    const chosen = select(await rollCall(link, selection.pool), selection, verb.fits);
    const answers = await Promise.all(chosen.map((each) => ask(link, each, verb)));
    const states = answers.filter((each): each is Heartbeat => !(each instanceof PoolError));
    if (flags.json)
      await shell.stdout.line(
        JSON.stringify(
          states.map((each) => toJson(HeartbeatSchema, each)),
          null,
          2,
        ),
      );
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
 * Whom a selection means among the workers that answered. Pure.
 *
 * @throws PoolError `not_found` when nobody matches, `invalid_argument` when a name is in several pools
 */
export function select(
  workers: readonly Heartbeat[],
  selection: Selection,
  fits: (state: WorkerState) => boolean,
): Heartbeat[] {
  const { worker, labels, count } = selection;
  const named = workers.filter((each) => worker === undefined || each.worker === worker);
  if (worker !== undefined && named.length > 1) {
    const pools = named.map(({ pool }) => pool).join(", ");
    throw new PoolError("invalid_argument", `worker: the name is in pools ${pools}; add --pool`, { field: "worker" });
  }
  const wanted = Object.entries(labels);
  const matching = named.filter((each) => wanted.every(([key, value]) => each.labels[key] === value));
  if (matching.length === 0) throw new PoolError("not_found", "no worker that answers matches", { field: "worker" });
  const fit = worker === undefined ? matching.filter(({ state }) => fits(state)) : matching;
  return [...fit].sort((a, b) => a.busy - b.busy).slice(0, count ?? fit.length);
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

async function ask(link: Link, { pool, worker }: Heartbeat, verb: ControlVerb): Promise<Heartbeat | PoolError> {
  const { request, limitMs } = verb;
  try {
    const response = await askControl(link.bus, link, { pool, worker, request, limitMs });
    return response.worker ?? new PoolError("internal", "the worker gave no state");
  } catch (error) {
    return error instanceof PoolError ? error : new PoolError("internal", "internal error", { cause: error });
  }
}

function stateLine({ pool, worker, state, busy, slots }: Heartbeat): string {
  return `${pool}/${worker}  ${WorkerState[state] ?? "?"}  ${busy} of ${slots} slots busy`;
}

function collect(value: string, earlier: readonly string[] = []): string[] {
  return [...earlier, value];
}
