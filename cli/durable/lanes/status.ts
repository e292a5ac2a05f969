/** `poolmesh durable`: how the lanes of pools stand, how full their streams are, and in what they differ. */
import type { Command } from "commander";
import { count, duration } from "../../../browser/format.js";
import type { LaneLine, LanesView } from "../../../mesh/durable/shown/lanes-view.js";
import type { StreamStatus } from "../../../mesh/durable/shown/stream-status.js";
import { PoolError } from "../../../mesh/errors.js";
import { checkName } from "../../../mesh/wire/subjects.js";
import { EXIT } from "../../exit-codes.js";
import { jsonLine } from "../../output/json-text.js";
import { tableLines } from "../../output/table.js";
import { addUrlOptions, type UrlFlags } from "../../remote/remote-options.js";
import type { Shell } from "../../shell.js";
import { addSpecs, BUS_SPECS } from "../../spec-options.js";
import { withLaneSource } from "../lane-source.js";
import { pausedText } from "../pause-pool.js";
import { applyLane } from "./apply.js";

const HELP = `
For each pool: jobs that wait for their time, jobs that wait in the stream, jobs that managers
have or that wait after a failure, those among them that wait until their limits let them run
(a manager tells it; "-" where none does), dead letters, and the age of the oldest job. For each
stream: how full it is, and what is set otherwise than Poolmesh sets it. Nothing is changed but
with --apply, which sets what differs, of consumers too, and says what it was; it needs the
broker's own administrator. What the broker does not change, such as where a stream is stored,
is left, and the command ends with 1. The number of copies is never changed.

Examples:
  poolmesh durable
  poolmesh durable --apply
  poolmesh durable invoice
  poolmesh durable --json
  poolmesh durable --url https://manager:8080 --ca-file ca.pem --token-file ci.token`;

interface StatusFlags extends UrlFlags {
  readonly apply?: boolean;
  readonly json?: boolean;
  readonly [name: string]: unknown;
}

export function define(command: Command, shell: Shell): void {
  command
    .argument("[POOL]", "only this pool; default all, and the streams that they share")
    .option("--apply", "set what differs as Poolmesh sets it")
    .option("--json", "print one JSON object")
    .addHelpText("after", HELP);
  addSpecs(command, BUS_SPECS);
  addUrlOptions(command, "ask this manager over HTTP; no connection to the broker is needed");
  command.action(async (pool: string | undefined, flags: StatusFlags) => {
    if (pool !== undefined) checkName("pool", pool);
    if (flags.apply) {
      if (flags.url !== undefined) throw byBroker();
      return applyLane(shell, pool, flags);
    }
    const view = await withLaneSource(shell, flags, (source) => source.lanes(pool));
    shell.exitCode = EXIT.ok;
    if (flags.json) return shell.stdout.line(jsonLine(fieldsOf(view)));
    if (view.streams.length === 0) {
      return shell.stderr.line("poolmesh: this broker has no durable lane; start a manager with --durable");
    }
    for (const line of linesOf(view, Date.now(), shell.stdout.room)) await shell.stdout.line(line);
  });
}

function byBroker(): PoolError {
  return new PoolError("invalid_argument", "--apply: the broker is asked, so it does not go with --url", {
    field: "apply",
  });
}

function fieldsOf({ lanes, streams }: LanesView): Record<string, unknown> {
  const each = ({
    pool,
    scheduled,
    queued,
    delivered,
    limited,
    dead,
    oldestAt,
    paused,
  }: LaneLine): Record<string, unknown> => {
    const oldest = oldestAt === undefined ? {} : { oldestAt: oldestAt.toISOString() };
    const held = limited === undefined ? {} : { limited };
    return {
      pool,
      scheduled,
      queued,
      delivered,
      ...held,
      dead,
      ...oldest,
      ...(paused === undefined ? {} : { paused }),
    };
  };
  return { lanes: lanes.map(each), streams };
}

function linesOf({ lanes, streams }: LanesView, nowMs: number, room: number): string[] {
  const right = (title: string) => ({ title, align: "right" as const });
  const cells = (texts: readonly string[]) => texts.map((text) => ({ text }));
  const laneRows = lanes.map(({ pool, scheduled, queued, delivered, limited, dead, oldestAt }) =>
    cells([
      pool,
      count(scheduled),
      count(queued),
      count(delivered),
      limited === undefined ? "-" : count(limited),
      count(dead),
      oldestAt === undefined ? "-" : duration(nowMs - oldestAt.getTime()),
    ]),
  );
  const streamRows = streams.map((stream) =>
    cells([
      stream.name,
      of(count(stream.messages), stream.maxMessages, count(stream.maxMessages)),
      of(size(stream.bytes), stream.maxBytes, size(stream.maxBytes)),
      String(stream.replicas),
    ]),
  );
  const figures = ["SCHEDULED", "QUEUED", "DELIVERED", "LIMITED", "DEAD"].map(right);
  const laneColumns = [{ title: "POOL" }, ...figures, { title: "OLDEST" }];
  const streamColumns = [{ title: "STREAM" }, right("MESSAGES"), right("SIZE"), right("COPIES")];
  return [
    ...(lanes.length === 0 ? [] : [...tableLines(laneColumns, laneRows, room), ...pauses(lanes), ""]),
    ...tableLines(streamColumns, streamRows, room),
    ...differing(streams),
  ];
}

function pauses(lanes: readonly LaneLine[]): string[] {
  return lanes.flatMap(({ pool, paused }) => (paused === undefined ? [] : [`${pool} is ${pausedText(paused)}`]));
}

function differing(streams: readonly StreamStatus[]): string[] {
  const found = streams.flatMap(({ name, differences }) => differences.map((each) => `${name}: ${each}`));
  return found.length === 0 ? [] : ["", "Set otherwise than Poolmesh sets it:", ...found.map((line) => `  ${line}`)];
}

function of(now: string, bound: number, most: string): string {
  return bound === 0 ? now : `${now} of ${most}`;
}

function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1_024 ** power;
  return `${power > 0 && value < 9.95 && value % 1 !== 0 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}
