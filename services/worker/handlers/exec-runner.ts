/**
 * Runs a command for each job: payload on stdin, result from stdout, data about
 * the job in the environment. What one command does is in execution.ts.
 */
import { Isolation } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { PoolError } from "../../../mesh/errors.js";
import type { Logger } from "../../../mesh/process/log.js";
import { Execution } from "./execution.js";
import type { Call, HandlerOutcome, Report, Runner } from "./runner.js";
import { readThrown } from "./thrown.js";

export interface ExecRunnerOptions {
  readonly command: string;
  readonly abortGraceMs: number;
  /** The largest result, in bytes. */
  readonly maxBytes: () => number;
  readonly report: Report;
  readonly log: Logger;
  /** This process's id; default that of the process. */
  readonly pid?: number;
}

export class ExecRunner implements Runner {
  readonly isolation = Isolation.EXEC;
  readonly blocking = false;
  readonly #options: ExecRunnerOptions;
  readonly #running = new Set<Execution>();

  constructor(options: ExecRunnerOptions) {
    this.#options = options;
  }

  /** Nothing to load: each job starts its command. */
  async start(): Promise<void> {
    const { pid = process.pid, log } = this.#options;
    if (pid !== 1) return;
    // Node waits only for its own children; PID 1 inherits those of others
    log.warn("this process is PID 1: what a command leaves running becomes a zombie; start the container with --init");
  }

  run(call: Call): void {
    const end = (outcome: HandlerOutcome): void => {
      if (!outcome.ok) this.#options.report(call, outcome);
      call.end(outcome);
    };
    try {
      const execution = new Execution(call, this.#options, (outcome) => {
        this.#running.delete(execution);
        end(outcome);
      });
      this.#running.add(execution);
    } catch (thrown) {
      const read = readThrown(thrown);
      const message = `the command cannot be started (${read.code ?? "error"})`;
      end({ ok: false, error: new PoolError("job_failed", message), thrown: read });
    }
  }

  resize(): void {
    // each job has its own command
  }

  async stop(): Promise<void> {
    for (const execution of this.#running) execution.signal("SIGKILL");
  }
}
