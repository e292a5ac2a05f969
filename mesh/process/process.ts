/**
 * A service as a process: signals in, exit codes out.
 *
 * The only place that turns SIGTERM into stop() and a fatal error into an exit
 * code. Exit codes: 0 stopped as asked, 1 failed, 77 no permission at the broker, 78 configuration.
 */
import { hostname } from "node:os";
import { PoolError } from "../errors.js";
import { type BrokerSecrets, brokerSecrets } from "./bus-config.js";
import { EXIT_CONFIG, EXIT_NO_PERMISSION } from "./config.js";
import { warnOfLoose } from "./files/file-modes.js";
import { endNow } from "./leave-now.js";
import type { Lifecycle } from "./lifecycle.js";
import { createLog, type Logger, type LogLevel } from "./log.js";

/** What runService() needs of a service. */
export type NamedService = Lifecycle & { readonly id: string; readonly url?: string };

/**
 * A service's whole main: reads its configuration, makes it, runs it, and says
 * on stderr why it could not start.
 *
 * @param name in every log line and message, such as "manager"
 * @param read the configuration; may throw a PoolError that lists every mistake
 * @returns the exit code
 */
export async function runService<C extends { readonly logLevel: LogLevel } & BrokerSecrets>(
  name: string,
  read: () => C,
  make: (config: C, log: Logger) => NamedService,
): Promise<number> {
  try {
    const config = read();
    const color = process.stdout.isTTY === true && (process.env.NO_COLOR ?? "") === "";
    const log = createLog(name, config.logLevel, color);
    warnOfLoose(brokerSecrets(config), "secret", log);
    const service = make(config, log);
    return await runProcess(service, log, () => log.info({ url: service.url, id: service.id }, "ready"));
  } catch (error) {
    process.stderr.write(`poolmesh ${name}: ${error instanceof Error ? error.message : String(error)}\n`);
    return exitCodeOf(error);
  }
}

/**
 * Starts `service`, stops it at SIGTERM or SIGINT, and resolves with the exit
 * code. A second signal ends the process at once with 130.
 *
 * @param onReady called once start() has resolved
 */
async function runProcess(service: Lifecycle, log: Logger, onReady?: () => void): Promise<number> {
  let asked = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (asked) return endNow(130);
    asked = true;
    log.info({ signal }, "stopping");
    void service.stop();
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  try {
    await service.start();
    onReady?.();
    const error = await service.closed;
    await service.stop();
    if (error === undefined) return 0;
    log.error({ error: error.message }, "stopped by an error");
    return 1;
  } catch (error) {
    if (asked) {
      log.info("stopped before it was ready");
      return 0;
    }
    log.error({ error: error instanceof Error ? error.message : String(error) }, "cannot start");
    return exitCodeOf(error);
  } finally {
    process.off("SIGTERM", onSignal);
    process.off("SIGINT", onSignal);
  }
}

/** 78 for a configuration mistake, 77 when the broker refuses the credentials, else 1. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof PoolError)) return 1;
  if (error.reason === "invalid_argument") return EXIT_CONFIG;
  return error.reason === "unauthenticated" || error.reason === "permission_denied" ? EXIT_NO_PERMISSION : 1;
}

/** A default id for a service of this process: `host-pid-random`, within the name rule. */
export function defaultId(): string {
  const host = hostname()
    .split(".")[0]
    ?.replace(/[^A-Za-z0-9-]+/g, "-")
    .replace(/^-+/, "")
    .slice(0, 32);
  return `${host || "host"}-${process.pid}-${Math.random().toString(36).slice(2, 6)}`;
}
