/**
 * Logs: pino, JSON lines on stdout, pretty on a terminal.
 *
 * Decided here: levels, and that a library is silent unless its user hands it a
 * logger. A payload or a secret is never logged.
 */
import { type DestinationStream, type Logger, pino } from "pino";
import pretty from "pino-pretty";

export { redactUrls } from "./broker-urls.js";
export type { Logger };

export const LOG_LEVELS = ["silent", "error", "warn", "info", "debug"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The logger of a library part whose user gives none. */
export const silentLog: Logger = pino({ level: "silent" });

/**
 * A process's logger.
 *
 * @param service the name in every line, such as "worker"
 * @param level default "info"
 * @param color whether to print for a person instead of a machine
 * @param fd file descriptor; default 1 (stdout)
 */
export function createLog(service: string, level: LogLevel = "info", color = false, fd: 1 | 2 = 1): Logger {
  const options = { level, base: { service }, timestamp: pino.stdTimeFunctions.isoTime };
  return pino(options, destination(color, fd));
}

function destination(color: boolean, fd: 1 | 2): DestinationStream {
  // Whoever reads the log may go, or the handler may close it: the service goes on and what it says is lost.
  if (!color) return pino.destination({ dest: fd, sync: true }).on("error", () => undefined);
  return pretty({ destination: fd, sync: true, ignore: "pid,hostname,service", messageFormat: "{service}: {msg}" });
}
