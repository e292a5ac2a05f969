/** The figures of lanes as the page shows them. Pure. */
import { duration } from "../../../../browser/format.js";
import type { GetLanesResponse, Lane, LanePause } from "../../../../gen/poolmesh/v1/durable_pb.js";
import { keyOf, PROTO_PRIORITIES } from "../../../../mesh/job/proto-priorities.js";

/** One lane. Scheduled, queued, held, limited and retrying add up to the jobs that have not ended. */
export interface LaneRow {
  /** "" for all lanes added up. */
  readonly pool: string;
  /** What of it is paused, such as "paused until it is resumed"; "" when nothing is. */
  readonly paused: string;
  /** They wait for their time. */
  readonly scheduled: number;
  readonly queued: number;
  /** At a manager, for a slot, or running. */
  readonly held: number;
  /** At a manager, until limits let them run. */
  readonly limited: number;
  readonly retrying: number;
  readonly dead: number;
  /** The age of the oldest job that has not ended; undefined when there is none. */
  readonly oldestMs: number | undefined;
}

/** Lanes with dead letters first, then those with the oldest jobs. @param wallMs milliseconds since the epoch */
export function laneRows({ lanes }: GetLanesResponse, wallMs: number): LaneRow[] {
  const rows = lanes.map((lane) => toRow(lane, wallMs));
  return rows.sort((a, b) => b.dead - a.dead || (b.oldestMs ?? -1) - (a.oldestMs ?? -1) || (a.pool < b.pool ? -1 : 1));
}

/** All lanes together. */
export function laneTotal(rows: readonly LaneRow[]): LaneRow {
  const sum = (of: (row: LaneRow) => number): number => rows.reduce((total, row) => total + of(row), 0);
  const oldest = Math.max(...rows.map(({ oldestMs }) => oldestMs ?? -1), -1);
  return {
    pool: "",
    paused: "",
    scheduled: sum(({ scheduled }) => scheduled),
    queued: sum(({ queued }) => queued),
    held: sum(({ held }) => held),
    limited: sum(({ limited }) => limited),
    retrying: sum(({ retrying }) => retrying),
    dead: sum(({ dead }) => dead),
    oldestMs: oldest < 0 ? undefined : oldest,
  };
}

/** The oldest job's age. */
export function oldestText({ oldestMs }: LaneRow): string {
  return oldestMs === undefined ? "—" : duration(oldestMs);
}

/** Streams that are almost full, or that are not as Poolmesh makes them, in sentences. */
export function streamWarnings({ streams }: GetLanesResponse): string[] {
  return streams.flatMap(({ name, messages, maxMessages, bytes, maxBytes, differences }) => {
    const share = Math.max(shareOf(messages, maxMessages), shareOf(bytes, maxBytes));
    const full = share >= NEARLY_FULL ? [`The stream ${name} is ${Math.floor(share * 100)} % full.`] : [];
    return [...full, ...differences.slice(0, 4).map((each) => `The stream ${name} is set otherwise: ${each}.`)];
  });
}

const NEARLY_FULL = 0.8;

/** The levels that are named when not all are paused. */
function pausedText({ levels, until }: LanePause, wallMs: number): string {
  const names = levels.map((level) => keyOf(PROTO_PRIORITIES, level) ?? "?");
  const all = Object.keys(PROTO_PRIORITIES).length;
  const which = levels.length >= all ? "paused" : `paused in part (${names.join(", ")})`;
  if (until === undefined) return `${which} until it is resumed`;
  return `${which} for ${duration(Math.max(1_000, Number(until.seconds) * 1_000 - wallMs))} more`;
}

function shareOf(now: bigint, most: bigint): number {
  return most === 0n ? 0 : Number(now) / Number(most);
}

function toRow(
  { pool, scheduled, queued, delivered, limited = 0n, retrying = 0n, dead, oldestAt, paused }: Lane,
  wallMs: number,
): LaneRow {
  const oldestMs = oldestAt === undefined ? undefined : Math.max(0, wallMs - Number(oldestAt.seconds) * 1_000);
  return {
    pool,
    paused: paused === undefined ? "" : pausedText(paused, wallMs),
    scheduled: Number(scheduled),
    queued: Number(queued),
    held: Number(delivered - retrying - limited),
    limited: Number(limited),
    retrying: Number(retrying),
    dead: Number(dead),
    oldestMs,
  };
}
