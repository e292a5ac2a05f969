/**
 * A failed job for a person: what went wrong, where, whether it ran, and what to
 * do. Pure but for the output's colours.
 */
import { duration } from "../../browser/format.js";
import type { PoolError } from "../../mesh/errors.js";
import { plainText } from "../../mesh/plain-text.js";
import { advice } from "./advice.js";
import type { Output } from "./output.js";
import { wrap } from "./wrap.js";

/** What is known of the job. */
export interface FailedJob {
  readonly pool: string;
  readonly id: string;
  readonly error: PoolError;
  readonly worker: string;
  readonly attempt: number;
  readonly totalMs: number;
}

const LABEL_WIDTH = 9;
const MESSAGE_LENGTH = 600;

/** Lines for a terminal, broken between words at its width. */
export function failureLines(out: Output, job: FailedJob): string[] {
  const { error } = job;
  const [first = "", ...more] = wrap(`${error.reason}: ${plainText(error.message, MESSAGE_LENGTH)}`, out.columns - 2);
  const reason = first.slice(0, error.reason.length + 1);
  const head = `${out.style("red", `✖ ${reason}`)}${out.style("bold", first.slice(reason.length))}`;
  const rows = details(job).flatMap(([label, text]) => row(out, label, text));
  return [head, ...more.map((line) => `  ${out.style("bold", line)}`), ...rows];
}

function details({ pool, id, error, worker, attempt, totalMs }: FailedJob): [label: string, text: string][] {
  const code = error.jobCode;
  const by = worker === "" ? "no worker" : `${worker}, attempt ${attempt}`;
  return [
    ...(code === undefined ? [] : [["code", plainText(code, MESSAGE_LENGTH)] satisfies [string, string]]),
    ["job", `${id} of pool ${pool}`],
    ["worker", `${by}, after ${duration(totalMs)}`],
    ["it ran", ran(error, worker)],
    ["next", advice(error, { pool, id })],
  ];
}

function ran({ reason, maybeExecuted }: PoolError, worker: string): string {
  if (reason === "job_failed" || reason === "job_rejected") return "yes";
  if (maybeExecuted) return "perhaps, in part or to its end";
  // A worker checks a payload before it gives it to the handler.
  if (reason === "invalid_argument") return "no";
  return worker === "" ? "no" : "perhaps";
}

/** A label and its text, broken between words at the width of the terminal. */
function row(out: Output, label: string, text: string): string[] {
  const room = Math.max(20, out.columns - LABEL_WIDTH - 3);
  return wrap(text, room).map((line, i) => {
    const head = (i === 0 ? label : "").padEnd(LABEL_WIDTH);
    return `  ${out.style("dim", head)}${label === "next" ? out.style("cyan", line) : line}`;
  });
}
