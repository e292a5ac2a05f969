/** Which runner a worker's options ask for. */

import { PoolError } from "../../../mesh/errors.js";
import { json } from "../../../mesh/job/codec.js";
import { isPoolDefinition } from "../../../mesh/job/pool-definition.js";
import type { WorkerOptions, WorkerSettings } from "../worker-options.js";
import { type JobMiddleware, withMiddleware } from "./around/job-middleware.js";
import { typedHandler } from "./around/typed-handler.js";
import { ExecRunner } from "./exec-runner.js";
import type { Handler } from "./handler.js";
import { toCodecs } from "./handler-exports.js";
import { InlineRunner } from "./inline-runner.js";
import { IsolatedRunner } from "./isolated/isolated-runner.js";
import { PROCESSES } from "./isolated/process-channel.js";
import { THREADS } from "./isolated/thread-channel.js";
import { deathReportTo, reportTo, teardownReportTo } from "./job-report.js";
import type { ContextData, LoadedHandler } from "./loaded-handler.js";
import { loadHandlerFile } from "./loading/handler-file.js";
import type { Runner } from "./runner.js";

/** What a runner asks of its worker. */
export interface RunnerHost {
  /** The largest result now, in bytes. */
  readonly maxBytes: () => number;
  /** Around the handler, where it runs in this process; complete at start(). */
  readonly middleware: readonly JobMiddleware[];
  /** So many jobs can run at once now: fewer than there are slots while a thread or process cannot be loaded, else infinity. */
  readonly onUsable: (slots: number) => void;
}

/**
 * Makes the runner; it loads nothing before its start().
 *
 * @throws PoolError `invalid_argument`, field "codec" or "recycleAfter"
 */
export function makeRunner<I, O>(options: WorkerOptions<I, O>, settings: WorkerSettings, host: RunnerHost): Runner {
  const { abortGraceMs, log } = settings;
  const { run, exec, handlerFile, codec, isolation = "inline", recycleAfter } = options;
  const report = reportTo(log);
  if (recycleAfter !== undefined && (exec !== undefined || isolation === "inline")) throw notRecycled();
  if (exec !== undefined) return new ExecRunner({ command: exec, abortGraceMs, maxBytes: host.maxBytes, report, log });
  const context: ContextData = { pool: settings.pool, worker: settings.id, slots: settings.slots, isolation };
  if (handlerFile !== undefined && isolation !== "inline") {
    const source = { file: handlerFile, codec: codec === undefined ? undefined : nameOf(codec), context };
    return makeIsolated(settings, host, { kind: isolation === "thread" ? THREADS : PROCESSES, source, recycleAfter });
  }
  const definition = isPoolDefinition(options.pool) ? options.pool : undefined;
  const load = async (): Promise<LoadedHandler> => {
    const { middleware } = host;
    const handler: LoadedHandler =
      handlerFile === undefined
        ? { run: withMiddleware(run as Handler, middleware), codecs: toCodecs(codec ?? json) }
        : await loadHandlerFile(handlerFile, codec, middleware);
    return definition === undefined || handler.definition !== undefined ? handler : typedHandler(handler, definition);
  };
  const life = lifeOptions(settings);
  if (handlerFile !== undefined) return new InlineRunner({ load, context, report, ...life });
  toCodecs(codec ?? json);
  // A function of this program is there already: nothing is waited for.
  return new InlineRunner({ load, context, report, ...life, loadTimeoutMs: Number.POSITIVE_INFINITY });
}

type IsolatedChoice = Pick<ConstructorParameters<typeof IsolatedRunner>[0], "kind" | "source" | "recycleAfter">;

function makeIsolated(settings: WorkerSettings, { onUsable }: RunnerHost, choice: IsolatedChoice): Runner {
  const { pool, id: worker, slots, abortGraceMs, log } = settings;
  return new IsolatedRunner({
    ...choice,
    ...lifeOptions(settings),
    slots,
    abortGraceMs,
    report: reportTo(log),
    onBroken: (error, retryInMs) => {
      const line = { pool, worker, isolation: choice.kind.name, error: error.message, retryInMs };
      log.warn(line, "the handler cannot be loaded");
    },
    onDiedIdle: deathReportTo(log, pool, worker),
    onUsable,
  });
}

function lifeOptions(settings: WorkerSettings): {
  loadTimeoutMs: number;
  graceMs: number;
  onTeardownFailed: ReturnType<typeof teardownReportTo>;
  onStartLeft: (error: PoolError) => void;
} {
  const { loadTimeoutMs, graceMs, log, pool, id } = settings;
  const onStartLeft = ({ message }: PoolError): void => {
    log.warn({ pool, worker: id, error: message }, "the handler was left before it was ready");
  };
  return { loadTimeoutMs, graceMs, onTeardownFailed: teardownReportTo(log, pool, id), onStartLeft };
}

function notRecycled(): PoolError {
  const message = "recycleAfter: only threads and processes are recycled; say --isolation thread or process";
  return new PoolError("invalid_argument", message, { field: "recycleAfter" });
}

/** Only a codec with a name crosses to a thread or child. */
function nameOf(codec: NonNullable<WorkerOptions["codec"]>): string {
  if (typeof codec === "string") return codec;
  const name = "name" in codec ? codec.name : "";
  if (name === "json" || name === "text" || name === "bytes") return name;
  const message = "codec: a codec without a name of ours cannot cross to a thread or process; export it from the file";
  throw new PoolError("invalid_argument", message, { field: "codec" });
}
