/**
 * Runs a command for each job: payload on stdin, result from stdout, data about
 * the job in the environment.
 *
 * The command gets its own process group, so that what it started ends with it.
 * The worker's own secrets are not in its environment.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { Isolation } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { PoolError, safeMessage } from "../../../mesh/errors.js";
import { jobEnvironment } from "./job-environment.js";
import type { Call, Ending, Runner } from "./runner.js";

/** How much of the end of stderr an error carries, in characters. */
const STDERR_SHOWN = 400;

export interface ExecRunnerOptions {
  readonly command: string;
  readonly abortGraceMs: number;
  /** The largest result, in bytes. */
  readonly maxBytes: () => number;
}

export class ExecRunner implements Runner {
  readonly isolation = Isolation.EXEC;
  readonly blocking = false;
  readonly #options: ExecRunnerOptions;
  readonly #running = new Set<Execution>();

  constructor(options: ExecRunnerOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    // nothing to load: each job starts its command
  }

  run(call: Call): void {
    const execution = new Execution(call, this.#options, (ending) => {
      this.#running.delete(execution);
      call.end(ending);
    });
    this.#running.add(execution);
  }

  resize(): void {
    // each job has its own command
  }

  async stop(): Promise<void> {
    for (const execution of this.#running) execution.signal("SIGKILL");
  }
}

class Execution {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #call: Call;
  readonly #options: ExecRunnerOptions;
  readonly #end: (ending: Ending) => void;
  readonly #stdout: Buffer[] = [];
  #stdoutBytes = 0;
  #stderr = "";
  #killTimer: NodeJS.Timeout | undefined;
  #spawnError: string | undefined;

  constructor(call: Call, options: ExecRunnerOptions, end: (ending: Ending) => void) {
    this.#call = call;
    this.#options = options;
    this.#end = end;
    this.#child = spawn("/bin/sh", ["-c", options.command], {
      detached: true,
      env: jobEnvironment(call, process.env, performance.now(), Date.now()),
    });
    this.#listen();
    call.signal.addEventListener("abort", this.#onAbort, { once: true });
    this.#child.stdin.end(call.bytes);
  }

  /** Sends a signal to the command and all that it started. */
  signal(name: NodeJS.Signals): void {
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, name);
    } catch {
      // the group is gone already
    }
  }

  readonly #onAbort = (): void => {
    this.signal("SIGTERM");
    this.#killTimer = setTimeout(() => this.signal("SIGKILL"), this.#options.abortGraceMs);
  };

  #listen(): void {
    const child = this.#child;
    // a command that does not read its stdin closes it early
    child.stdin.on("error", () => undefined);
    child.stdout.on("data", (chunk: Buffer) => this.#onStdout(chunk));
    child.stderr.on("data", (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString("utf8")).slice(-4 * STDERR_SHOWN);
    });
    child.once("error", (error) => {
      this.#spawnError = (error as NodeJS.ErrnoException).code ?? "error";
      this.#finish({ ok: false, error: failed(`the command cannot be started (${this.#spawnError})`) });
    });
    child.once("close", (code, signal) => this.#onClose(code, signal));
  }

  #onStdout(chunk: Buffer): void {
    this.#stdoutBytes += chunk.length;
    if (this.#stdoutBytes <= this.#options.maxBytes()) this.#stdout.push(chunk);
    else this.signal("SIGKILL");
  }

  #onClose(code: number | null, signal: string | null): void {
    if (this.#spawnError !== undefined) return;
    const limit = this.#options.maxBytes();
    if (this.#stdoutBytes > limit) {
      const message = `the command wrote more than ${limit} bytes to stdout, the largest payload`;
      this.#finish({ ok: false, error: failed(message) });
    } else if (code === 0) this.#finish({ ok: true, payload: Buffer.concat(this.#stdout) });
    else this.#finish({ ok: false, error: failed(exitMessage(code, signal, this.#stderr)) });
  }

  #finish(ending: Ending): void {
    clearTimeout(this.#killTimer);
    this.#call.signal.removeEventListener("abort", this.#onAbort);
    this.#end(ending);
  }
}

function failed(message: string): PoolError {
  return new PoolError("job_failed", message, { maybeExecuted: true });
}

function exitMessage(code: number | null, signal: string | null, stderr: string): string {
  const how = signal === null ? `exited with code ${code}` : `was ended by ${signal}`;
  const said = safeMessage(stderr.trim().slice(-STDERR_SHOWN));
  return said === "" ? `the command ${how}` : `the command ${how}: ${said}`;
}
