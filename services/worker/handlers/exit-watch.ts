/**
 * Says what became of the jobs when a handler ends the worker's own process by `process.exit()`.
 *
 * Inline a handler is in the worker's process. While it is loaded or set up, load-guard.ts watches instead.
 */
import { isEndingNow } from "../../../mesh/process/leave-now.js";
import type { Logger } from "../../../mesh/process/log.js";

/** What the handler calls; only main.ts may. */
const CALLED = "process.exit";

/** What is asked of the worker when its process ends. */
export interface ExitingWorker {
  readonly pool: string;
  readonly id: string;
  /** How many jobs run. */
  readonly busy: number;
  readonly isTearingDown: boolean;
}

/**
 * Watches from now on.
 *
 * @param stopCode the exit code that the worker has earned when it stops
 * @returns ends the watch
 */
export function watchExit(log: Logger, worker: ExitingWorker, stopCode: () => number): () => void {
  const onExit = (code: number): void => {
    // a second signal ends it: the handler has not called it
    if (isEndingNow()) return;
    if (worker.isTearingDown) {
      const error = `the handler's process exited with code ${code} in teardown()`;
      log.warn({ pool: worker.pool, worker: worker.id, error }, "teardown failed");
      process.exitCode = stopCode();
      return;
    }
    const jobs = worker.busy > 0 ? "its jobs are lost" : "it had no jobs";
    log.error({ code, jobs: worker.busy }, `${CALLED}() was called while the worker ran: ${jobs}`);
    process.exitCode = code || 1;
  };
  process.on("exit", onExit);
  return () => process.off("exit", onExit);
}
