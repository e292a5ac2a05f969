/**
 * One run of a service as a child process: from its start to its end.
 *
 * Decided here: how its readiness and its reason of death are read from its own
 * log. It has a session of its own, so that Ctrl-C reaches only `up`, and a
 * channel, so that it notices the death of `up`.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type { Invocation } from "../shell.js";
import { type LogLine, parseLogLine } from "./log-line.js";

/** What to start. */
export interface Launch {
  readonly self: Invocation;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Hears every line: a log line, or text of the handler's own. */
  readonly onLine: (line: LogLine | string) => void;
}

/** How it ended. */
export interface ServiceExit {
  readonly code: number | null;
  /** Such as "SIGKILL" or "exit code 1: cannot start: …". */
  readonly why: string;
  /** It stopped as it was asked to, by whomever. */
  readonly asked: boolean;
}

const READY = new Set(["ready", "worker ready"]);
const STOPPED = "worker stopped";
/** The longest line of a handler's output that is passed on, in characters. */
const MAX_LINE_LENGTH = 4_096;

export class ServiceProcess {
  readonly pid: number;
  /** Settles with its address ("" for a worker) when it is ready; never when it ends before. */
  readonly ready: Promise<string>;
  readonly exited: Promise<ServiceExit>;
  readonly #child: ChildProcess;
  #lastWords = "";
  #saidStopped = false;
  #ended = false;

  constructor({ self, args, env, onLine }: Launch) {
    const child = spawn(self.file, [...self.args, ...args], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      detached: true,
      env,
    });
    this.#child = child;
    this.pid = child.pid ?? 0;
    this.ready = new Promise((resolve) => {
      readLines(child.stdout, (text) => {
        const line = parseLogLine(text);
        if (line !== undefined && READY.has(line.msg)) resolve(String(line.fields.url ?? ""));
        this.#remember(line);
        onLine(line ?? text);
      });
    });
    readLines(child.stderr, (text) => {
      this.#lastWords = text;
      onLine(text);
    });
    this.exited = new Promise((resolve) => {
      child.once("error", (error) => resolve(this.#end({ code: null, why: error.message, asked: false })));
      child.once("close", (code, signal) => resolve(this.#end(this.#toExit(code, signal))));
    });
  }

  /** Sends a signal, when it still runs. */
  signal(name: NodeJS.Signals): void {
    if (!this.#ended) this.#child.kill(name);
  }

  #remember(line: LogLine | undefined): void {
    if (line?.msg === STOPPED) this.#saidStopped = true;
    if (line?.level === "error") this.#lastWords = [line.msg, line.fields.error].filter(Boolean).join(": ");
  }

  #toExit(code: number | null, signal: NodeJS.Signals | null): ServiceExit {
    if (signal !== null) return { code, why: signal, asked: false };
    const words = this.#lastWords === "" ? "" : `: ${this.#lastWords}`;
    return { code, why: `exit code ${code}${words}`, asked: code === 0 && this.#saidStopped };
  }

  #end(exit: ServiceExit): ServiceExit {
    this.#ended = true;
    return exit;
  }
}

function readLines(stream: Readable | null, onLine: (text: string) => void): void {
  if (stream === null) return;
  createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on("line", (text) => {
    if (text !== "") onLine(text.slice(0, MAX_LINE_LENGTH));
  });
}
