/** Which runner a worker's options ask for. */

import { PoolError } from "../../../mesh/errors.js";
import { json } from "../../../mesh/wire/codec.js";
import type { WorkerOptions, WorkerSettings } from "../worker-options.js";
import { ExecRunner } from "./exec-runner.js";
import type { Handler } from "./handler.js";
import { loadHandlerFile, toCodecs } from "./handler-file.js";
import { InlineRunner } from "./inline-runner.js";
import { ProcessRunner } from "./process-runner.js";
import type { Runner } from "./runner.js";
import { ThreadRunner } from "./thread-runner.js";

/**
 * Makes the runner; it loads nothing before its start().
 *
 * @param maxBytes the largest result now, in bytes
 * @throws PoolError `invalid_argument`, field "codec"
 */
export function makeRunner<I, O>(
  options: WorkerOptions<I, O>,
  settings: WorkerSettings,
  maxBytes: () => number,
): Runner {
  const { slots, abortGraceMs } = settings;
  const { run, exec, handlerFile, codec } = options;
  if (exec !== undefined) return new ExecRunner({ command: exec, abortGraceMs, maxBytes });
  if (handlerFile !== undefined && options.isolation !== undefined && options.isolation !== "inline") {
    const source = { file: handlerFile, codec: codec === undefined ? undefined : nameOf(codec) };
    const Isolated = options.isolation === "thread" ? ThreadRunner : ProcessRunner;
    return new Isolated({ source, slots, abortGraceMs });
  }
  if (handlerFile !== undefined) return new InlineRunner(() => loadHandlerFile(handlerFile, codec));
  const loaded = { run: run as Handler, codecs: toCodecs(codec ?? json) };
  return new InlineRunner(async () => loaded);
}

/** Only a codec with a name crosses to a thread or child. */
function nameOf(codec: NonNullable<WorkerOptions["codec"]>): string {
  if (typeof codec === "string") return codec;
  const name = "name" in codec ? codec.name : "";
  if (name === "json" || name === "text" || name === "bytes") return name;
  const message = "codec: a codec without a name of ours cannot cross to a thread or process; export it from the file";
  throw new PoolError("invalid_argument", message, { field: "codec" });
}
