/**
 * The release before this one, built: tests run its parts with those of today.
 *
 * `node --import tsx scripts/previous-release.ts` prints the folder. It is built once, from the history of this
 * repository, into .cache/previous/.
 *
 * There is no release yet. So a recorded commit stands for it: the last one before the protocol's latest additions
 * (`Pool-Join`, `locate`, `error` details of a job, `DurableService`). When a version has been released, its tag
 * belongs here.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { packageRoot } from "../mesh/process/identity.js";

/** A tag or a commit. */
export const PREVIOUS_RELEASE = "db2c7202738a95baac330d1e0ad004f7e230432d";

/** What the library and the services are built from. */
const SOURCES =
  "package.json tsconfig.json tsconfig.build.json index.ts browser.ts gen mesh broker client services cli".split(" ");

/** Where it was built, or why it cannot be. */
export type PreviousRelease = { readonly folder: string } | { readonly missing: string };

/**
 * Builds it, unless that was done before.
 *
 * @returns `missing` where its commit is not in this checkout: in a shallow clone, and without git
 * @throws Error when its commit is there and cannot be built, and when a whole clone does not have it
 */
export function previousRelease(): PreviousRelease {
  // Compiled tests are in a folder of the checkout.
  const root = git(packageRoot(), ["rev-parse", "--show-toplevel"]) ?? packageRoot();
  const commit = git(root, ["rev-parse", "--verify", "--quiet", `${PREVIOUS_RELEASE}^{commit}`]);
  if (commit === undefined) return notThere(root);
  const folder = join(root, ".cache", "previous", commit.slice(0, 12));
  if (!existsSync(folder)) build(root, commit, folder);
  return { folder };
}

function notThere(root: string): PreviousRelease {
  const shallow = git(root, ["rev-parse", "--is-shallow-repository"]);
  if (shallow === "false") throw new Error(`scripts/previous-release.ts: this repository has no ${PREVIOUS_RELEASE}`);
  const why = shallow === undefined ? "this is no git checkout" : "this clone is shallow: git fetch --unshallow";
  return { missing: `the previous release (${PREVIOUS_RELEASE.slice(0, 12)}) is not in the history here: ${why}` };
}

/** Builds aside and moves it into place whole: two test files may want it at once. */
function build(root: string, commit: string, folder: string): void {
  const aside = `${folder}.${process.pid}`;
  mkdirSync(aside, { recursive: true });
  run("git", ["archive", "-o", `${aside}.tar`, commit, "--", ...SOURCES], root);
  run("tar", ["-xf", `${aside}.tar`, "-C", aside], root);
  rmSync(`${aside}.tar`);
  symlinkSync("../../../node_modules", join(aside, "node_modules"));
  tellApart(join(aside, "package.json"), commit);
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  run(process.execPath, [compiler, "-p", "tsconfig.build.json", "--noCheck", "--declaration", "false"], aside);
  if (existsSync(folder)) rmSync(aside, { recursive: true });
  else renameSync(aside, folder);
}

/** Its parts say a version of their own, so that one sees who is who: "0.1.0-db2c720". */
function tellApart(file: string, commit: string): void {
  const known = JSON.parse(readFileSync(file, "utf8")) as { version: string };
  writeFileSync(file, JSON.stringify({ ...known, version: `${known.version}-${commit.slice(0, 7)}` }));
}

function git(cwd: string, args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync("git", args, { cwd, encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}

function run(command: string, args: readonly string[], cwd: string): void {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`the previous release cannot be built: ${command}: ${stdout}${stderr}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const found = previousRelease();
  console.log("folder" in found ? found.folder : found.missing);
  process.exitCode = "folder" in found ? 0 : 1;
}
