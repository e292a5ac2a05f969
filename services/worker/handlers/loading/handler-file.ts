/**
 * Loads a handler file, TypeScript or JavaScript.
 *
 * Used where the handler runs: in the worker, in a thread or in a child. What
 * the file may export is decided in handler-exports.ts.
 */
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { PoolError } from "../../../../mesh/errors.js";
import type { JobMiddleware } from "../around/job-middleware.js";
import { type CodecChoice, readExports, refuse } from "../handler-exports.js";
import type { LoadedHandler } from "../loaded-handler.js";
import { placeOf, readThrown } from "../thrown.js";
import { syntaxPlace } from "./syntax-place.js";
import { registerTypeScript } from "./typescript.js";

export type { LoadedHandler };

/**
 * Loads and checks a file.
 *
 * @param codec used instead of the file's own
 * @param middleware around the file's own
 * @throws PoolError `invalid_argument`, field "handler" or "codec"
 */
export async function loadHandlerFile(
  path: string,
  codec?: CodecChoice,
  middleware?: readonly JobMiddleware[],
): Promise<LoadedHandler> {
  const shown = JSON.stringify(path);
  const file = resolve(path);
  if (!(await stat(file).catch(() => undefined))?.isFile()) throw refuse("handler", `there is no file ${shown}`);
  const module = await importFile(file, shown);
  try {
    return { ...readExports(module, shown, codec, middleware), file };
  } catch (thrown) {
    if (thrown instanceof PoolError) throw thrown;
    throw refuse("handler", `cannot read the exports of ${shown}: ${readThrown(thrown).message}`, thrown);
  }
}

async function importFile(file: string, shown: string): Promise<Record<string, unknown>> {
  try {
    if (/\.[cm]?tsx?$/.test(file)) await registerTypeScript(file);
    return (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  } catch (thrown) {
    const { message, stack } = readThrown(thrown);
    let place = placeOf(message, stack);
    if (place === "") {
      const found = await syntaxPlace(file, thrown);
      if (found !== undefined) place = ` (at ${found})`;
    }
    throw refuse("handler", `cannot load ${shown}: ${message}${place}`, thrown);
  }
}
