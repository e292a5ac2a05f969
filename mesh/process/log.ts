/**
 * Logs: pino, JSON lines on stdout, pretty on a terminal.
 *
 * Decided here: levels, and that a library is silent unless its user hands it a
 * logger. A payload or a secret is never logged. Texts may be those of strangers: each
 * is bounded, and control, direction and invisible characters become "·".
 */
import { createRequire } from "node:module";
import { type DestinationStream, type Logger, type LoggerOptions, pino } from "pino";
import { plainLines } from "../plain-text.js";
import { readableStack } from "../readable-stack.js";
import { packageRoot } from "./identity.js";

export { redactUrls } from "./broker-urls.js";
export type { Logger };

export const LOG_LEVELS = ["silent", "error", "warn", "info", "debug"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Marks a logger, and its children, that says nothing at all. */
const SAYS_NOTHING = Symbol("says nothing");

/** The logger of a library part whose user gives none. */
export const silentLog: Logger = Object.assign(pino({ level: "silent" }), { [SAYS_NOTHING]: true });

/** The longest text of a line, and how deep objects in it are looked through. */
const MAX_TEXT_LENGTH = 8_192;
const MAX_DEPTH = 4;

/** A logger for lines that are written whatever the level of `log`; not for {@link silentLog}, and not when a library's user gives a logger that has no children. */
export function unconditional(log: Logger): Logger {
  return SAYS_NOTHING in log || typeof log.child !== "function" ? log : log.child({}, { level: "info" });
}

/**
 * A process's logger.
 *
 * @param service the name in every line, such as "worker"
 * @param level default "info"
 * @param color whether to print for a person instead of a machine
 * @param fd file descriptor; default 1 (stdout)
 */
export function createLog(service: string, level: LogLevel = "info", color = false, fd: 1 | 2 = 1): Logger {
  return pino({ ...logOptions(service), level }, destination(color, fd));
}

/** How lines are made. */
export function logOptions(service: string): LoggerOptions {
  return {
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { log: (fields) => fit(fields, 0) as Record<string, unknown> },
    hooks: {
      logMethod(args, method) {
        method.apply(this, args.map((each) => (typeof each === "string" ? fit(each, 0) : each)) as typeof args);
      },
    },
  };
}

/** The same value with fit texts. Errors and the like stay as they are: pino writes them in its own way. */
function fit(value: unknown, depth: number): unknown {
  if (typeof value === "string") return plainLines(value, MAX_TEXT_LENGTH);
  if (depth === MAX_DEPTH || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((each) => fit(each, depth + 1));
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, fit(each, depth + 1)]));
}

function destination(color: boolean, fd: 1 | 2): DestinationStream {
  // Whoever reads the log may go, or the handler may close it: the service goes on and what it says is lost.
  if (!color) return pino.destination({ dest: fd, sync: true }).on("error", () => undefined);
  // Loaded only for a person: most services write for machines, and start sooner without.
  const pretty = createRequire(import.meta.url)("pino-pretty") as typeof import("pino-pretty");
  return pretty({
    ...{ destination: fd, sync: true, ignore: "pid,hostname,service", messageFormat: "{service}: {msg}" },
    customPrettifiers: { stack: shownStack, cause: shownStack },
  });
}

/** A stack for a person: one frame a line. */
function shownStack(value: unknown, _name: string, line: unknown): string {
  const { error } = (line ?? {}) as { error?: unknown };
  const lines = readableStack(String(value), typeof error === "string" ? error : "", packageRoot());
  return lines.map((each) => `\n        ${each}`).join("");
}
