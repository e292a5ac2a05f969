/** `poolmesh workers`: who is there, as a table or as JSON. */
import { toJson } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { duration } from "../../browser/format.js";
import { plainText } from "../../browser/plain-text.js";
import { type Heartbeat, HeartbeatSchema, Isolation, WorkerState } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { checkName } from "../../mesh/names.js";
import { EXIT } from "../exit-codes.js";
import { withLink } from "../link.js";
import type { Output, Style } from "../output/output.js";
import { type Cell, type Column, tableLines } from "../output/table.js";
import type { Shell } from "../shell.js";
import { addSpecs, BUS_SPECS } from "../spec-options.js";
import { rollCall } from "./roll-call.js";

const HELP = `
Asks over NATS and lists who answers within a moment; a worker that is dead does not.
\`poolmesh top\` and the meter's page also show LOST ones. With a POOL that nobody
answers for it exits with 69.

Examples:
  poolmesh workers
  poolmesh workers adder --json | jq -r '.[].worker'`;

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
  { title: "LABELS" },
];

const STATE_STYLES: Partial<Record<WorkerState, Style>> = {
  [WorkerState.READY]: "green",
  [WorkerState.PAUSED]: "yellow",
  [WorkerState.DRAINING]: "yellow",
  [WorkerState.STOPPED]: "red",
};

export function define(command: Command, shell: Shell): void {
  command
    .argument("[POOL]", "only workers of this pool")
    .option("--json", "print a JSON array")
    .addHelpText("after", HELP);
  addSpecs(command, BUS_SPECS);
  command.action(async (pool: string | undefined, options: { json?: boolean }) => {
    if (pool !== undefined) checkName("pool", pool);
    const workers = await withLink(shell, { ...options }, (link) => rollCall(link, pool));
    if (options.json)
      await shell.stdout.line(
        JSON.stringify(
          workers.map((each) => toJson(HeartbeatSchema, each)),
          null,
          2,
        ),
      );
    else if (workers.length > 0)
      for (const line of workerLines(shell.stdout, workers, Date.now())) await shell.stdout.line(line);
    if (workers.length > 0) return;
    await shell.stderr.line(pool === undefined ? "no worker answers" : `no worker of pool ${pool} answers`);
    if (pool !== undefined) shell.exitCode = EXIT.unavailable;
  });
}

/** The table. @param nowMs wall clock, milliseconds since the epoch */
export function workerLines(out: Output, workers: readonly Heartbeat[], nowMs: number): string[] {
  const [titles = "", ...rows] = tableLines(
    COLUMNS,
    workers.map((worker) => cells(out, worker, nowMs)),
  );
  return [out.style("bold", titles), ...rows];
}

function cells(out: Output, worker: Heartbeat, nowMs: number): Cell[] {
  const style = STATE_STYLES[worker.state];
  const state: Cell = {
    text: WorkerState[worker.state] ?? "?",
    ...(style === undefined ? {} : { paint: (text: string) => out.style(style, text) }),
  };
  const startedMs = Number(worker.startedAt?.seconds ?? 0n) * 1_000;
  const stuck = worker.stuck > 0 ? ` (${worker.stuck} stuck)` : "";
  const texts = [
    String(worker.slots),
    String(worker.jobsDone),
    String(worker.jobsFailed),
    `${Math.round(worker.loopLagMs)} ms`,
    startedMs === 0 ? "" : duration(nowMs - startedMs),
    Isolation[worker.isolation]?.toLowerCase().replace("unspecified", "") ?? "",
    plainText(worker.host, 40),
    String(worker.pid),
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
