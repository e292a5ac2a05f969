/**
 * Where nats-server and the `nats` command are on this machine.
 *
 * Decided here: which places are searched, that the newest version is used, and
 * that a path from the user is used without a search. Not decided here: what to
 * do when there is none (install.ts).
 */
import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { access } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { PoolError } from "../mesh/errors.js";
import { packageRoot } from "../mesh/process/identity.js";

/** The binaries that the project can use. */
export type BinaryName = "nats-server" | "nats";

/** A binary that runs, with its version. */
export interface FoundBinary {
  readonly path: string;
  /** Such as "2.15.2"; "0.0.0" for a build without a version. */
  readonly version: string;
}

/** How to search. */
export interface FindOptions {
  /** Use this path and search nowhere. */
  path?: string;
  /** Default `process.env`: PATH is read from it. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Search these folders and no others. */
  folders?: readonly string[];
}

/** How long a binary may take to print its version, in milliseconds. */
const VERSION_LIMIT_MS = 10_000;

/** nats-server, the newest that is found; undefined when there is none. */
export function findServer(options: FindOptions = {}): Promise<FoundBinary | undefined> {
  return findBinary("nats-server", options);
}

/** The `nats` command, the newest that is found; undefined when there is none. */
export function findCli(options: FindOptions = {}): Promise<FoundBinary | undefined> {
  return findBinary("nats", options);
}

/**
 * The newest of the binaries called `name`.
 *
 * @throws PoolError `invalid_argument` when `path` is given and does not run
 */
export async function findBinary(name: BinaryName, options: FindOptions = {}): Promise<FoundBinary | undefined> {
  if (options.path !== undefined) return given(name, options.path);
  const found = await allBinaries(name, options);
  return found[0];
}

/** Every binary called `name` that runs, newest first. */
export async function allBinaries(name: BinaryName, options: FindOptions = {}): Promise<FoundBinary[]> {
  const folders = options.folders ?? searchFolders(options.env ?? process.env);
  const paths = folders.map((folder) => join(folder, name));
  const tried = await Promise.all(paths.map((path) => probe(path)));
  return tried
    .filter((each): each is FoundBinary => each !== undefined)
    .sort((a, b) => compareVersions(b.version, a.version));
}

/** The folder that the project installs binaries to: under the package when that is writable, else under the home. */
export function cacheFolder(): string {
  const root = packageRoot();
  return isWritable(root) ? join(root, ".cache", "bin") : homeCacheFolder();
}

/** Negative, zero or positive, as `a` is older than, equal to or newer than `b`; a pre-release is older than its release. */
export function compareVersions(a: string, b: string): number {
  const [coreA = "", preA] = a.split("-", 2);
  const [coreB = "", preB] = b.split("-", 2);
  const numbersB = coreB.split(".").map(Number);
  for (const [i, number] of coreA.split(".").map(Number).entries()) {
    const difference = number - (numbersB[i] ?? 0);
    if (difference !== 0) return difference;
  }
  if (preA === preB) return 0;
  if (preA === undefined) return 1;
  if (preB === undefined) return -1;
  return preA < preB ? -1 : 1;
}

/** The version in what `-v` or `--version` prints, such as "nats-server: v2.9.10"; "0.0.0" when there is no version. */
export function parseVersion(text: string): string {
  return /v?(\d+\.\d+\.\d+(?:-[\w.]+)?)/.exec(text)?.[1] ?? "0.0.0";
}

function searchFolders(env: Readonly<Record<string, string | undefined>>): string[] {
  const path = (env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const usual = ["/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin", join(homedir(), "go", "bin")];
  const cache = [join(packageRoot(), ".cache", "bin"), homeCacheFolder()];
  return [...new Set([...path, ...usual, ...cache])];
}

function homeCacheFolder(): string {
  return join(homedir(), ".cache", "poolmesh", "bin");
}

async function given(name: BinaryName, path: string): Promise<FoundBinary> {
  const found = await probe(path);
  if (found !== undefined) return found;
  throw new PoolError("invalid_argument", `${name}: the file that was given does not run: ${path}`, { field: name });
}

async function probe(path: string): Promise<FoundBinary | undefined> {
  try {
    await access(path, constants.X_OK);
  } catch {
    return undefined;
  }
  return new Promise((resolve) => {
    execFile(path, ["--version"], { timeout: VERSION_LIMIT_MS }, (error, stdout, stderr) => {
      resolve(error === null ? { path, version: parseVersion(`${stdout}${stderr}`) } : undefined);
    });
  });
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
