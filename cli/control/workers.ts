/** `poolmesh workers`: who is there, as a table or as JSON. */
import { toJson } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { duration } from "../../browser/format.js";
import { type Heartbeat, HeartbeatSchema, Isolation, WorkerState } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import type { WorkerView } from "../../gen/poolmesh/v1/view_pb.js";
import { PoolError } from "../../mesh/errors.js";
import { plainText } from "../../mesh/plain-text.js";
import { CLOCK_OFF_MS, clockOffsetMs, uptimeMs } from "../../mesh/wire/clock-offset.js";
import { checkName } from "../../mesh/wire/subjects.js";
import { type Link, withLink } from "../link.js";
import type { Output, Style } from "../output/output.js";
import { type Cell, type Column, tableLines } from "../output/table.js";
import { addUrlOptions, readRemote, type UrlFlags } from "../remote/remote-options.js";
import type { Shell } from "../shell.js";
import { addSpecs, BUS_SPECS } from "../spec-options.js";
import { poolsOf, rollCall } from "./roll-call.js";
import { unknownPool } from "./unknown-pool.js";

const HELP = `
Asks over NATS and lists who answers within a moment; a worker that is dead does not.
\`poolmesh top\` and the meter's page also show LOST ones. When nobody answers it exits
with 69. With --url it asks a meter, which knows LOST workers too, or a manager, which
lists one POOL. UP is right although a worker's clock is off. startedAt and sentAtMs of
--json are times of the worker's own clock.

Examples:
  poolmesh workers
  poolmesh workers adder --json | jq -r '.[].worker'
  poolmesh workers --url https://meter:8090 --ca-file ca.pem --token-file viewer.token`;

interface WorkersFlags extends UrlFlags {
  readonly pool?: string;
  readonly json?: boolean;
}

const COLUMNS: readonly Column[] = [
  { title: "POOL" },
  { title: "WORKER" },
  { title: "STATE" },
  { title: "BUSY", align: "right" },
  { title: "SLOTS", align: "right" },
  { title: "DONE", align: "right" },
  { title: "FAILED", align: "right" },
  { title: "LAG", align: "right" },
  { title: "UP", align: "right" },
  { title: "RUNS IN" },
  { title: "HOST" },
  { title: "PID", align: "right" },
  { title: "VERSION" },
  { title: "LABELS" },
];

const STATE_STYLES: Partial<Record<WorkerState, Style>> = {
  [WorkerState.READY]: "green",
  [WorkerState.PAUSED]: "yellow",
  [WorkerState.DRAINING]: "yellow",
  [WorkerState.STOPPED]: "red",
  [WorkerState.LOST]: "red",
};

export function define(command: Command, shell: Shell): void {
  command
    .argument("[POOL]", "only workers of this pool")
    .option("--pool <NAME>", "the same")
    .option("--json", "print a JSON array")
    .addHelpText("after", HELP);
  addSpecs(command, BUS_SPECS);
  addUrlOptions(command, "ask this meter, or with a POOL this manager, over HTTP");
  command.action(async (argument: string | undefined, flags: WorkersFlags) => {
    const pool = argument ?? flags.pool;
    if (pool !== undefined) checkName("pool", pool);
    if (flags.pool !== undefined && flags.pool !== pool) {
      throw new PoolError("invalid_argument", "pool: name one pool, as POOL or with --pool", { field: "pool" });
    }
    const remote = readRemote(shell, flags);
    if (remote.url !== undefined) {
      const { listRemote } = await import("../remote/remote-calls.js");
      const workers = (await listRemote(remote.url, remote, pool)).flatMap(seenThere);
      await print(shell, workers, flags);
      if (workers.length === 0)
        throw new PoolError("no_workers", `no worker${pool === undefined ? "" : ` of pool ${pool}`} is known there`);
      return;
    }
    await withLink(shell, { ...flags, pool: undefined }, async (link) => {
      const nowMs = (): number => link.bus.runtime.wallNow();
      const workers = (await rollCall(link, pool)).map((each) => seenHere(each, nowMs()));
      await print(shell, workers, flags);
      if (workers.length === 0) throw await nobody(link, pool);
    });
  });
}

/** A worker's last heartbeat, and how far its clock is ahead of that of who heard it. */
export interface SeenWorker {
  readonly heartbeat: Heartbeat;
  /** Milliseconds. */
  readonly clockOffsetMs: number;
}

/** @param nowMs our wall clock when it answered, milliseconds since the epoch */
function seenHere(heartbeat: Heartbeat, nowMs: number): SeenWorker {
  return { heartbeat, clockOffsetMs: clockOffsetMs(heartbeat, nowMs) };
}

/** The manager or meter has measured the clock when the heartbeat came, which may be long ago. */
function seenThere({ heartbeat, clockOffsetMs: offsetMs }: WorkerView): SeenWorker[] {
  return heartbeat === undefined ? [] : [{ heartbeat, clockOffsetMs: offsetMs }];
}

async function print({ stdout }: Shell, workers: readonly SeenWorker[], { json }: WorkersFlags): Promise<void> {
  if (json) {
    const states = workers.map(({ heartbeat }) => toJson(HeartbeatSchema, heartbeat));
    await stdout.line(JSON.stringify(states, null, 2));
  } else if (workers.length > 0) {
    for (const line of workerLines(stdout, workers, Date.now())) await stdout.line(line);
  }
}

async function nobody(link: Link, pool: string | undefined): Promise<PoolError> {
  if (pool === undefined) return new PoolError("no_workers", "no worker answers; poolmesh doctor looks for the reason");
  return unknownPool(pool, poolsOf(await rollCall(link)));
}

/** The table. @param nowMs wall clock, milliseconds since the epoch */
export function workerLines(out: Output, workers: readonly SeenWorker[], nowMs: number): string[] {
  const [titles = "", ...rows] = tableLines(
    COLUMNS,
    workers.map(({ heartbeat }) => cells(out, heartbeat, nowMs)),
    out.room,
  );
  return [out.style("bold", titles), ...rows, ...clockLines(out, workers), ...permissionLines(out, workers)];
}

/** A line for each worker that the broker refuses what it needs. */
function permissionLines(out: Output, workers: readonly SeenWorker[]): string[] {
  return workers.flatMap(({ heartbeat: { worker, missingPermissions } }) => {
    if (missingPermissions.length === 0) return [];
    const missing = missingPermissions.map((each) => plainText(each, 120)).join(", ");
    return [out.style("yellow", `${worker} takes no jobs: the broker refuses ${missing}.`)];
  });
}

/** A line for each worker whose clock is off. Nothing depends on it but what people read. */
function clockLines(out: Output, workers: readonly SeenWorker[]): string[] {
  return workers.flatMap(({ heartbeat: { worker }, clockOffsetMs: offsetMs }) => {
    if (Math.abs(offsetMs) <= CLOCK_OFF_MS) return [];
    const how = `${duration(Math.abs(offsetMs))} ${offsetMs > 0 ? "ahead" : "behind"}`;
    return [out.style("yellow", `The clock of ${worker} is ${how}. Jobs run all the same.`)];
  });
}

function cells(out: Output, worker: Heartbeat, nowMs: number): Cell[] {
  const style = STATE_STYLES[worker.state];
  const state: Cell = {
    text: WorkerState[worker.state] ?? "?",
    ...(style === undefined ? {} : { paint: (text: string) => out.style(style, text) }),
  };
  const upMs = uptimeMs(worker, nowMs);
  const stuck = worker.stuck > 0 ? ` (${worker.stuck} stuck)` : "";
  const texts = [
    String(worker.slots),
    String(worker.jobsDone),
    String(worker.jobsFailed),
    `${Math.round(worker.loopLagMs)} ms`,
    upMs === undefined ? "" : duration(upMs),
    Isolation[worker.isolation]?.toLowerCase().replace("unspecified", "") ?? "",
    plainText(worker.host, 40),
    String(worker.pid),
    plainText(worker.version, 30),
    labelsText(worker.labels),
  ];
  return [
    { text: worker.pool },
    { text: worker.worker },
    state,
    { text: `${worker.busy}${stuck}` },
    ...texts.map(toCell),
  ];
}

function toCell(text: string): Cell {
  return { text };
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).sort(([a], [b]) => a.localeCompare(b));
  return pairs.map(([key, value]) => plainText(`${key}=${value}`, 60)).join(",");
}
