/**
 * One command for one job.
 *
 * The command gets its own process group, so that what it started ends with it.
 * The job ends when the command has exited and its output is read; a process that
 * the command left behind and that holds the output open is waited for only
 * shortly. The worker's own secrets are not in the environment.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { PoolError, safeMessage } from "../../../mesh/errors.js";
import { jobEnvironment } from "./job-environment.js";
import type { Call, HandlerOutcome } from "./runner.js";

/** How much of the end of stderr an error carries, in characters. */
const STDERR_SHOWN = 400;
/** How long output is waited for after the exit, in milliseconds. */
const OUTPUT_WAIT_MS = 200;
/** How many turns of the event loop may bring more output after that: a process that never stops writing is not waited for. */
const MAX_READ_TURNS = 100;

export interface ExecutionOptions {
  readonly command: string;
  readonly abortGraceMs: number;
  /** The largest result, in bytes. */
  readonly maxBytes: () => number;
}

/** How a command ended. */
interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

export class Execution {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #call: Call;
  readonly #options: ExecutionOptions;
  readonly #end: (outcome: HandlerOutcome) => void;
  readonly #stdout: Buffer[] = [];
  #stdoutBytes = 0;
  #stderr = "";
  #reads = 0;
  #exit: Exit | undefined;
  #over = false;
  #killTimer: NodeJS.Timeout | undefined;
  #outputTimer: NodeJS.Timeout | undefined;

  /** @throws what spawn throws, such as for an environment that cannot be passed on */
  constructor(call: Call, options: ExecutionOptions, end: (outcome: HandlerOutcome) => void) {
    this.#call = call;
    this.#options = options;
    this.#end = end;
    this.#child = spawn("/bin/sh", ["-c", options.command], {
      detached: true,
      env: jobEnvironment(call, process.env, performance.now(), Date.now()),
    });
    this.#child.once("error", (error) => this.#onSpawnError(error));
    // without a process there are no pipes
    if (this.#child.pid === undefined) return;
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
    child.stdout.on("error", () => undefined).on("data", (chunk: Buffer) => this.#onStdout(chunk));
    child.stderr
      .on("error", () => undefined)
      .on("data", (chunk: Buffer) => {
        this.#reads += 1;
        this.#stderr = (this.#stderr + chunk.toString("utf8")).slice(-4 * STDERR_SHOWN);
      });
    child.once("exit", (code, signal) => this.#onExit({ code, signal }));
    child.once("close", () => this.#finish());
  }

  #onSpawnError(error: Error): void {
    if (this.#child.pid !== undefined || this.#over) return;
    this.#over = true;
    const code = (error as NodeJS.ErrnoException).code ?? "error";
    this.#end({ ok: false, error: new PoolError("job_failed", `the command cannot be started (${code})`) });
  }

  #onStdout(chunk: Buffer): void {
    this.#reads += 1;
    this.#stdoutBytes += chunk.length;
    if (this.#stdoutBytes <= this.#options.maxBytes()) this.#stdout.push(chunk);
    else this.signal("SIGKILL");
  }

  #onExit(exit: Exit): void {
    this.#exit = exit;
    this.#outputTimer = setTimeout(() => this.#finishWhenQuiet(), OUTPUT_WAIT_MS);
  }

  /** What was written before the exit is read first, also after a stall of this process. */
  #finishWhenQuiet(turns = 0): void {
    const reads = this.#reads;
    // one turn of the loop reads what is there
    setImmediate(() =>
      setImmediate(() => {
        if (this.#reads === reads || turns === MAX_READ_TURNS) this.#finish();
        else this.#finishWhenQuiet(turns + 1);
      }),
    );
  }

  /** Once: when all output is read, or has been waited for. */
  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#killTimer);
    clearTimeout(this.#outputTimer);
    this.#call.signal.removeEventListener("abort", this.#onAbort);
    // what the command left running ends with it
    this.signal("SIGKILL");
    this.#child.stdout.destroy();
    this.#child.stderr.destroy();
    this.#end(this.#outcome(this.#exit ?? { code: this.#child.exitCode, signal: this.#child.signalCode }));
  }

  #outcome({ code, signal }: Exit): HandlerOutcome {
    const limit = this.#options.maxBytes();
    if (this.#stdoutBytes > limit) {
      return failed(`the command wrote more than ${limit} bytes to stdout, the largest payload`);
    }
    if (code === 0) return { ok: true, payload: Buffer.concat(this.#stdout) };
    return failed(exitMessage(code, signal, this.#stderr));
  }
}

function failed(message: string): HandlerOutcome {
  return { ok: false, error: new PoolError("job_failed", message, { maybeExecuted: true }) };
}

function exitMessage(code: number | null, signal: string | null, stderr: string): string {
  const how = signal === null ? `exited with code ${code}` : `was ended by ${signal}`;
  const said = safeMessage(stderr.trim().slice(-STDERR_SHOWN));
  return said === "" ? `the command ${how}` : `the command ${how}: ${said}`;
}
