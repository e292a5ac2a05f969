/**
 * Private files of the user who runs Poolmesh: tokens that programs on this machine
 * find without being told.
 *
 * They are in $XDG_STATE_HOME/poolmesh, by default ~/.local/state/poolmesh. The folder
 * has mode 700 and each file 600. A file that somebody else owns or may read is refused.
 */
import { linkSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";

type Env = Readonly<Record<string, string | undefined>>;

/** Where a private file is. */
export function statePath(env: Env, name: string): string {
  const said = env.XDG_STATE_HOME ?? "";
  const base = isAbsolute(said) ? said : join(env.HOME || homedir(), ".local", "state");
  return join(base, "poolmesh", name);
}

/**
 * What a private file says, in one line; undefined when there is none.
 *
 * @throws Error when it is not private, and when it cannot be read
 */
export function readPrivate(path: string): string | undefined {
  try {
    requirePrivate(path);
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** What a private file says; makes it when there is none. Two processes that do so at once get the same. */
export function readOrMakePrivate(path: string, make: () => string): string {
  const known = readPrivate(path);
  if (known !== undefined) return known;
  const fresh = writeAside(path, make());
  try {
    linkSync(fresh, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(fresh, { force: true });
  }
  return readPrivate(path) ?? "";
}

/** Makes a private file, in place of one that there is. */
export function writePrivate(path: string, text: string): void {
  renameSync(writeAside(path, text), path);
}

/** Removes it. */
export function removePrivate(path: string): void {
  rmSync(path, { force: true });
}

function writeAside(path: string, text: string): string {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const fresh = `${path}.${process.pid}`;
  rmSync(fresh, { force: true });
  writeFileSync(fresh, `${text}\n`, { mode: 0o600, flag: "wx" });
  return fresh;
}

function requirePrivate(path: string): void {
  const { mode, uid } = lstatSync(path);
  if (process.platform === "win32") return;
  if (uid !== process.getuid?.()) throw new Error(`${path} belongs to another user: remove it`);
  if ((mode & 0o170000) !== 0o100000) throw new Error(`${path} is no plain file: remove it`);
  if ((mode & 0o077) !== 0) throw new Error(`${path} can be read by others: chmod 600 ${path}`);
}
