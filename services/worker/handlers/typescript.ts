/**
 * Loading TypeScript: the handler's own settings count, not those of the folder
 * in which the worker was started.
 *
 * Used where the handler runs: in the worker, in a thread or in a child.
 */
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isMainThread } from "node:worker_threads";

const TSCONFIG = "tsconfig.json";

/**
 * Makes `import` take TypeScript, by tsx, with the settings of the file's own project.
 *
 * @param file absolute path of the handler file
 */
export async function registerTypeScript(file: string): Promise<void> {
  // a main thread that runs our own sources has a loader already
  if (isMainThread && import.meta.url.endsWith(".ts") && !process.send) return;
  const tsconfig = await nearestTsconfig(dirname(file));
  const [commonJs, modules] = await Promise.all([import("tsx/cjs/api"), import("tsx/esm/api")]);
  // a .ts file in a folder without "type": "module" is CommonJS, whose loader takes its settings from the environment
  const before = process.env.TSX_TSCONFIG_PATH;
  process.env.TSX_TSCONFIG_PATH = tsconfig ?? "";
  commonJs.register();
  modules.register({ tsconfig: tsconfig ?? false });
  if (before === undefined) delete process.env.TSX_TSCONFIG_PATH;
  else process.env.TSX_TSCONFIG_PATH = before;
}

/** The tsconfig.json in this folder or in the nearest one above it. */
export async function nearestTsconfig(folder: string): Promise<string | undefined> {
  for (let each = folder; ; each = dirname(each)) {
    const file = join(each, TSCONFIG);
    if ((await stat(file).catch(() => undefined))?.isFile()) return file;
    if (each === dirname(each)) return undefined;
  }
}
