/** The worker as a program: configuration in, a running worker, an exit code out. */
import { EXIT_CONFIG, readConfig } from "../../mesh/process/config.js";
import type { Logger } from "../../mesh/process/log.js";
import { OPTIONS } from "../../mesh/process/options.js";
import { runService } from "../../mesh/process/process.js";
import { toWorkerOptions, WORKER_CONFIG } from "./config.js";
import { watchExit } from "./handlers/exit-watch.js";
import { endedWhileLoading } from "./handlers/handler-life.js";
import { guardLoading } from "./handlers/load-guard.js";
import { readThrown } from "./handlers/thrown.js";
import { Worker } from "./worker.js";

/**
 * Runs a worker until it is told to stop.
 *
 * A promise of a handler that is rejected and that nobody handles is logged, and the worker goes on. An exception that
 * nobody catches leaves a process in doubt: the worker takes nothing new, gives what runs its grace, and ends with 1.
 * Before it is ready, that is a handler which cannot be loaded: 78. A handler that calls process.exit() is a line in the
 * log, and never exit code 0 but in its teardown.
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
    if (isLoading) return refuseHandler(thrown);
    log?.error(lineOf(thrown), "an exception that nobody caught: the worker stops");
    if (worker === undefined) process.exit(1);
    void worker.stopAfterCrash();
  };
  const refuseHandler = (thrown: unknown): void => {
    endGuard();
    const { message } = endedWhileLoading("start", "its process ended", readThrown(thrown));
    log?.error({ ...lineOf(thrown), error: message }, "cannot start");
    process.exit(EXIT_CONFIG);
  };
  let isInline = false;
  let isLoading = false;
  let failed = false;
  const stopCode = (): number => (crashed || failed || worker?.wasReady === false ? 1 : 0);
  let endGuard = (): void => undefined;
  let endWatch = (): void => undefined;
  process.on("unhandledRejection", onRejection);
  process.on("uncaughtException", onException);
  try {
    const code = await runService(
      "worker",
      () => readConfig(WORKER_CONFIG, process.env, flags, OPTIONS),
      (config, serviceLog) => {
        log = serviceLog;
        const made = new Worker(toWorkerOptions(config, serviceLog));
        worker = made;
        if (config.handler === undefined || config.isolation !== "inline") return made;
        isInline = true;
        isLoading = true;
        endGuard = guardLoading(config.handler, config.loadTimeoutMs);
        void made.closed.then((error) => {
          failed = error !== undefined;
        });
        void made.loaded.then(() => {
          isLoading = false;
          endGuard();
          endWatch = watchExit(serviceLog, made, stopCode);
        });
        return made;
      },
    );
    if (!crashed) return code;
    return isInline && worker?.wasReady === false ? EXIT_CONFIG : code || 1;
  } finally {
    endGuard();
    endWatch();
    process.off("unhandledRejection", onRejection);
    process.off("uncaughtException", onException);
  }
}

function lineOf(thrown: unknown): { error: string; stack: string | undefined; cause: string | undefined } {
  const { message, stack, cause } = readThrown(thrown);
  return { error: message, stack, cause };
}
