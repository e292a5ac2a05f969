/** A logger whose lines a test can read. */
import { type Logger, pino } from "pino";

/** One line of a log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string; readonly level: string };

/** A logger, and what it has logged so far. */
export function readableLog(): { log: Logger; lines: LogLine[]; named: (msg: string) => LogLine[] } {
  const lines: LogLine[] = [];
  const formatters = { level: (label: string): { level: string } => ({ level: label }) };
  const log = pino({ level: "debug", base: null, formatters }, { write: (text) => void lines.push(JSON.parse(text)) });
  return { log, lines, named: (msg) => lines.filter((each) => each.msg === msg) };
}
