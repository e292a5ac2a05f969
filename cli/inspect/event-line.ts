/** One event of a job as one line for a person. Pure. */
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { count, duration, plural } from "../../browser/format.js";
import { type JobEvent, JobEventKind } from "../../gen/poolmesh/v1/job_pb.js";
import { wordOf } from "../../mesh/job/job-events.js";
import { plainText } from "../../mesh/plain-text.js";
import type { Output } from "../output/output.js";
import { WORD_STYLES } from "./view-fields.js";

const WORD_WIDTH = 9;

/** @param poolWidth the columns of the pool's name; 0 where the line does not say it */
export function eventLine(out: Output, event: JobEvent, poolWidth: number): string {
  const word = wordOf(event.kind) ?? "";
  const style = WORD_STYLES[word];
  const painted = style === undefined ? word : out.style(style, word);
  const gap = " ".repeat(Math.max(0, WORD_WIDTH - word.length));
  const pool = poolWidth > 0 ? `${event.pool.padEnd(poolWidth)}  ` : "";
  return `${out.style("dim", timeOfDay(event.at))}  ${pool}${painted}${gap}  ${event.jobId}  ${detailOf(event)}`.trimEnd();
}

/** What was left out before the next line. */
export function gapLine(out: Output, dropped: number): string {
  return out.style("dim", `… ${plural(dropped, "event")} not shown: too many to tell`);
}

/** How many jobs are shown from now on. */
export function sampleLine(out: Output, oneIn: number): string {
  const text = oneIn === 1 ? "… every job is shown again" : `… too many jobs: one of ${count(oneIn)} is shown`;
  return out.style("dim", text);
}

function detailOf(event: JobEvent): string {
  const { kind, attempt, client, payloadBytes, resultBytes, error } = event;
  const worker = plainText(event.worker, 63);
  const times = `waited ${duration(event.waitMs)}, ran ${duration(event.runMs)}`;
  const nth = attempt > 1 ? `attempt ${attempt} ` : "";
  switch (kind) {
    case JobEventKind.SUBMITTED:
      return join(plural(Number(payloadBytes), "byte"), client === "" ? "" : `client ${plainText(client, 60)}`);
    case JobEventKind.SENT:
      return `${nth}to ${worker || "any worker"}`;
    case JobEventKind.REFUSED:
      return `by ${worker || "a worker"}: it has no free slot`;
    case JobEventKind.ACCEPTED:
      return `by ${worker || "a worker"}`;
    case JobEventKind.REVOKED:
      return `${nth}nobody has accepted it in time`;
    case JobEventKind.SUCCEEDED:
      return join(worker, times, plural(Number(resultBytes), "byte"));
    case JobEventKind.FAILED: {
      const code = error?.code ? ` (${error.code})` : "";
      return join(`${error?.reason ?? ""}${code}: ${plainText(error?.message ?? "", 160)}`, worker, times);
    }
    default:
      return "";
  }
}

function join(...parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join(", ");
}

/** Hours to milliseconds, by this machine's time zone. */
function timeOfDay(at: Timestamp | undefined): string {
  if (at === undefined) return "";
  const date = timestampDate(at);
  const two = (value: number): string => String(value).padStart(2, "0");
  const ms = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}
