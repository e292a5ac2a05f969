/**
 * npm as the parent of this program: found, and noticed when it has gone.
 *
 * `npx poolmesh worker` is npm, perhaps a shell, and this program. npm ends at
 * SIGTERM without passing it on, so this program has to look for itself. Not
 * decided here: what to do then.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** What is known of one process. */
export interface ProcessFacts {
  readonly parent: number;
  readonly command: string;
}

/** The processes of this machine; undefined for one that is not there. */
export type ProcessTable = (pid: number) => ProcessFacts | undefined;

const SHELL = /^(\S*\/)?(sh|bash|dash|zsh|ash|ksh|busybox)(\s|$)/;
const NPM = /(^|[\s/])(npm|npx|pnpm|pnpx|yarn)(-cli)?(\.c?js)?(\s|$)/;
/** How many shells may stand between npm and this program. */
const MAX_SHELLS = 4;

/** Whether npm, or what acts like it, has put its variables into the environment. */
export function hasNpmVariables(env: Readonly<Record<string, string | undefined>>): boolean {
  return env.npm_command !== undefined || env.npm_lifecycle_event !== undefined;
}

/**
 * The processes from this program's parent up to npm, with nothing but shells
 * between; undefined when npm is not above.
 *
 * @param parent the parent of this program
 */
export function launchersOf(parent: number, table: ProcessTable): readonly number[] | undefined {
  const chain: number[] = [];
  for (let pid = parent; pid > 0 && chain.length <= MAX_SHELLS; ) {
    const facts = table(pid);
    if (facts === undefined) return undefined;
    chain.push(pid);
    if (!SHELL.test(facts.command)) return NPM.test(facts.command) ? chain : undefined;
    pid = facts.parent;
  }
  return undefined;
}

/**
 * Whether one of them has gone: then its child has another parent.
 *
 * @param parent the parent of this program now
 */
export function hasGone(chain: readonly number[], parent: number, table: ProcessTable): boolean {
  if (parent !== chain[0]) return true;
  return chain.slice(1).some((above, i) => table(chain[i] as number)?.parent !== above);
}

/** Whether nothing but shells stands between this program and process 1: what started it has gone already. */
export function isOrphan(parent: number, table: ProcessTable): boolean {
  for (let pid = parent, shells = 0; shells <= MAX_SHELLS; shells += 1) {
    if (pid === 1) return true;
    const facts = table(pid);
    if (facts === undefined || !SHELL.test(facts.command)) return false;
    pid = facts.parent;
  }
  return false;
}

/** The processes as /proc shows them, or else `ps`. */
export function processTable(pid: number): ProcessFacts | undefined {
  return process.platform === "linux" ? fromProc(pid) : fromPs(pid);
}

function fromProc(pid: number): ProcessFacts | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, "latin1");
    const parent = Number(status.slice(status.lastIndexOf(")") + 2).split(" ")[1]);
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
    return { parent, command };
  } catch {
    return undefined;
  }
}

function fromPs(pid: number): ProcessFacts | undefined {
  try {
    const text = execFileSync("ps", ["-o", "ppid=,command=", "-p", String(pid)], { encoding: "utf8", stdio: "pipe" });
    const match = /^\s*(\d+)\s+(.*)/.exec(text);
    return match === null ? undefined : { parent: Number(match[1]), command: match[2] ?? "" };
  } catch {
    return undefined;
  }
}
