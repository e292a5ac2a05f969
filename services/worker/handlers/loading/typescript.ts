/**
 * Loading TypeScript: the handler's own settings count, not those of the folder
 * in which the worker was started.
 *
 * Used where the handler runs: in the worker, in a thread or in a child.
 */
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isMainThread } from "node:worker_threads";
import { OWN_LOADER } from "../isolated/child-file.js";

const TSCONFIG = "tsconfig.json";
/** Where tsx's loader of CommonJS looks for its settings. */
const SETTINGS_VARIABLE = "TSX_TSCONFIG_PATH";

/**
 * Makes `import` take TypeScript, by tsx, with the settings of the file's own project.
 *
 * @param file absolute path of the handler file
 * @throws Error that says what to install when tsx, an optional peer of this package, is not there
 */
export async function registerTypeScript(file: string): Promise<void> {
  const takeAway = (globalThis as { [OWN_LOADER]?: () => Promise<void> })[OWN_LOADER];
  // a process that was started from our own sources has a loader already
  if (takeAway === undefined && isMainThread && import.meta.url.endsWith(".ts")) return;
  const tsconfig = await nearestTsconfig(dirname(file));
  const [commonJs, modules] = await Promise.all([import("tsx/cjs/api"), import("tsx/esm/api")]).catch(missing);
  await takeAway?.();
  modules.register({ tsconfig: tsconfig ?? false });
  // a .ts file in a folder without "type": "module" is CommonJS
  withSettings(tsconfig ?? "", () => commonJs.register());
}

function missing(error: NodeJS.ErrnoException): never {
  if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
  throw new Error("TypeScript needs the package tsx, which is not installed beside poolmesh: npm install tsx");
}

/** The tsconfig.json in this folder or in the nearest one above it. */
async function nearestTsconfig(folder: string): Promise<string | undefined> {
  for (let each = folder; ; each = dirname(each)) {
    const file = join(each, TSCONFIG);
    if ((await stat(file).catch(() => undefined))?.isFile()) return file;
    if (each === dirname(each)) return undefined;
  }
}

function withSettings(tsconfig: string, work: () => void): void {
  const before = process.env[SETTINGS_VARIABLE];
  process.env[SETTINGS_VARIABLE] = tsconfig;
  try {
    work();
  } finally {
    if (before === undefined) delete process.env[SETTINGS_VARIABLE];
    else process.env[SETTINGS_VARIABLE] = before;
  }
}
