/**
 * The package as `npm pack` makes it, and projects that have it installed.
 */
import assert from "node:assert/strict";
import { cp, symlink } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Owner } from "../clean-up.js";
import { type Exit, run } from "../process.js";
import { scratchFolder } from "../up.js";

/** Tests run in the project's folder; what is packed is not what is compiled for them. */
const ROOT = process.cwd();
const LEFT_OUT = new Set(["node_modules", "dist", "build", "site", ".git", ".cache", "bench"]);

/** How long packing, installing or compiling may take on a busy machine, in milliseconds. */
export const STEP_LIMIT_MS = 180_000;

/** What `npm pack` made. */
export interface PackedTarball {
  /** The path of the .tgz file. */
  readonly path: string;
  /** The paths of the files in it. */
  readonly files: readonly string[];
}

/**
 * Builds and packs a copy of the sources, so that it disturbs nobody. It is removed when `t` ends.
 *
 * @param built packs what has been built for the tests, where that is so: one build less
 */
export async function packTarball(t: Owner, { built = false } = {}): Promise<PackedTarball> {
  const hasBuilt = built && process.env.TEST_BUILT_DIST === "1";
  const folder = await scratchFolder(t);
  const filter = (path: string): boolean =>
    path === ROOT || (hasBuilt && path === join(ROOT, "dist")) || !LEFT_OUT.has(basename(path));
  await cp(ROOT, folder, { recursive: true, filter });
  await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
  const flags = ["--json", "--silent", ...(hasBuilt ? ["--ignore-scripts"] : [])];
  const pack = await run(t, "npm", ["pack", ...flags], { cwd: folder, limitMs: STEP_LIMIT_MS });
  assert.equal(pack.code, 0, pack.stderr);
  const [{ filename, files }] = JSON.parse(pack.stdout.slice(pack.stdout.search(/^\[$/m))) as [
    { filename: string; files: { path: string }[] },
  ];
  return { path: join(folder, filename), files: files.map(({ path }) => path) };
}

/** Compiles files of a project with `tsc --strict`. @param more further flags */
export function compileStrictly(
  t: Owner,
  project: string,
  files: readonly string[],
  more: string[] = [],
): Promise<Exit> {
  const compiler = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  const target = ["--strict", "--target", "es2022", "--module", "nodenext", "--types", "node"];
  const typeRoots = ["--typeRoots", join(ROOT, "node_modules", "@types")];
  const args = [compiler, ...target, ...typeRoots, ...more, ...files];
  return run(t, process.execPath, args, { cwd: project, limitMs: STEP_LIMIT_MS });
}
