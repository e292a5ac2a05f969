/** The worker as a program: configuration in, a running worker, an exit code out. */
import { readConfig } from "../../mesh/process/config.js";
import { isEndingNow } from "../../mesh/process/leave-now.js";
import type { Logger } from "../../mesh/process/log.js";
import { OPTIONS } from "../../mesh/process/options.js";
import { runService } from "../../mesh/process/process.js";
import { toWorkerOptions, WORKER_CONFIG } from "./config.js";
import { guardLoading } from "./handlers/load-guard.js";
import { readThrown } from "./handlers/thrown.js";
import { Worker } from "./worker.js";

/**
 * Runs a worker until it is told to stop.
 *
 * A promise of a handler that is rejected and that nobody handles is logged, and the worker goes on. An exception that
 * nobody catches leaves a process in doubt: the worker takes nothing new, gives what runs its grace, and ends with 1.
 * A handler that calls process.exit() is a line in the log, and never exit code 0.
 *
 * @param flags option name → text, as the command line gave it
 * @returns the exit code: 0 stopped as asked or drained, 1 failed, 77 no permission, 78 configuration
 */
export async function main(flags: Readonly<Record<string, string | undefined>>): Promise<number> {
  let crashed = false;
  let log: Logger | undefined;
  let worker: Worker | undefined;
  const onRejection = (thrown: unknown): void => {
    log?.error(lineOf(thrown), "a promise was rejected and nobody handled it");
  };
  const onException = (thrown: unknown): void => {
    crashed = true;
    log?.error(lineOf(thrown), "an exception that nobody caught: the worker stops");
    if (worker === undefined) process.exit(1);
    void worker.stopAfterCrash();
  };
  const onExit = (code: number): void => {
    // a second signal ends it: the handler has not called it
    if (isEndingNow()) return;
    log?.error({ code }, "process.exit() was called while the worker ran: its jobs are lost");
    process.exitCode = code || 1;
  };
  let endGuard = (): void => undefined;
  process.on("unhandledRejection", onRejection);
  process.on("uncaughtException", onException);
  try {
    const code = await runService(
      "worker",
      () => readConfig(WORKER_CONFIG, process.env, flags, OPTIONS),
      (config, serviceLog) => {
        log = serviceLog;
        worker = new Worker(toWorkerOptions(config, serviceLog));
        if (config.handler === undefined || config.isolation !== "inline") return worker;
        endGuard = guardLoading(config.handler, config.loadTimeoutMs);
        void worker.loaded.then(() => {
          endGuard();
          process.on("exit", onExit);
        });
        return worker;
      },
    );
    return crashed && code === 0 ? 1 : code;
  } finally {
    endGuard();
    process.off("exit", onExit);
    process.off("unhandledRejection", onRejection);
    process.off("uncaughtException", onException);
  }
}

function lineOf(thrown: unknown): { error: string; stack: string | undefined; cause: string | undefined } {
  const { message, stack, cause } = readThrown(thrown);
  return { error: message, stack, cause };
}
