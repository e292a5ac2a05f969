/** What `up` says on stderr: its own events, and the log lines of its services. */
import { plainText } from "../../mesh/plain-text.js";
import { packageRoot } from "../../mesh/process/identity.js";
import type { LogLevel } from "../../mesh/process/log.js";
import type { Output } from "../output/output.js";
import { isShown, type LogLine, logText, stackLines } from "./log-line.js";

const MAX_LENGTH = 2_000;
const ROOT = packageRoot();

export class ServiceLog {
  /** The least level that is shown. */
  readonly wanted: LogLevel;
  readonly #out: Output;

  constructor(out: Output, wanted: LogLevel) {
    this.#out = out;
    this.wanted = wanted;
  }

  /** Something that `up` itself has seen or does. */
  event(text: string): void {
    if (this.wanted === "silent") return;
    void this.#out.line(`${this.#out.style("yellow", "poolmesh:")} ${plainText(text, MAX_LENGTH)}`);
  }

  /**
   * A line of a service: for a person on a terminal, its stack below it, else as JSON with its service. Words of a
   * handler unless the log is silent, and what concerns access always.
   */
  line(service: string, line: LogLine | string): void {
    const isAudit = typeof line !== "string" && line.fields.audit !== undefined;
    const isWanted = typeof line === "string" ? this.wanted !== "silent" : isShown(line.level, this.wanted);
    if (!isWanted && !isAudit) return;
    if (this.#out.isTerminal || typeof line === "string") {
      const text = plainText(typeof line === "string" ? line : logText(line), MAX_LENGTH);
      void this.#out.line(`${this.#out.style("cyan", `${service}:`)} ${text}`);
      if (typeof line !== "string") for (const each of stackLines(line, ROOT)) void this.#out.line(`    ${each}`);
      return;
    }
    void this.#out.line(JSON.stringify({ process: service, level: line.level, msg: line.msg, ...line.fields }));
  }
}
