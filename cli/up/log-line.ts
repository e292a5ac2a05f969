/** What a service's output line is: one of its own log lines, or a handler's words. Pure. */
import { parseJson } from "../../mesh/job/codec.js";
import type { LogLevel } from "../../mesh/process/log.js";
import { readableStack } from "../../mesh/readable-stack.js";

/** A parsed log line. */
export interface LogLine {
  readonly level: LogLevel;
  readonly msg: string;
  /** What else it carries. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** pino's numbers. */
const LEVELS: Readonly<Record<number, LogLevel>> = { 20: "debug", 30: "info", 40: "warn", 50: "error", 60: "error" };
const RANK: Readonly<Record<LogLevel, number>> = { debug: 20, info: 30, warn: 40, error: 50, silent: 100 };
const HIDDEN = new Set(["level", "time", "msg", "service", "pid", "hostname"]);

/** The log line in a line of output; undefined when it is something else. */
export function parseLogLine(text: string): LogLine | undefined {
  if (!text.startsWith('{"level":')) return undefined;
  try {
    const all = parseJson(text) as Record<string, unknown>;
    const level = LEVELS[Number(all.level)];
    if (level === undefined || typeof all.msg !== "string") return undefined;
    const fields = Object.fromEntries(Object.entries(all).filter(([name]) => !HIDDEN.has(name)));
    return { level, msg: all.msg, fields };
  } catch {
    return undefined;
  }
}

/** Whether a line of `level` is shown to who asked for `wanted`. */
export function isShown(level: LogLevel, wanted: LogLevel): boolean {
  return RANK[level] >= RANK[wanted];
}

/** A log line for a person, without its stacks: see {@link stackLines}. */
export function logText({ level, msg, fields }: LogLine): string {
  const shown = Object.entries(fields).filter(([name, value]) => !isStack(name, value));
  return [level, msg, ...shown.map(([name, value]) => `${name}=${valueText(value)}`)].join("  ");
}

/** The stacks of a log line, one frame a line. @param root the folder of this package: what it calls is left out */
export function stackLines({ fields }: LogLine, root: string): string[] {
  const message = typeof fields.error === "string" ? fields.error : "";
  return Object.entries(fields).flatMap(([name, value]) => {
    if (!isStack(name, value)) return [];
    return readableStack(name === "cause" ? `caused by ${value}` : value, message, root);
  });
}

function isStack(name: string, value: unknown): value is string {
  return (name === "stack" || name === "cause") && typeof value === "string" && value.includes("\n");
}

function valueText(value: unknown): string {
  return typeof value === "string" && /^[^\s"]+$/.test(value) ? value : JSON.stringify(value);
}
