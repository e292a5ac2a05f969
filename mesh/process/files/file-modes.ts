/**
 * Who else on this machine may read or change a file that others must not.
 *
 * A secret is read by its owner only; one that root owns may be read by a group too, since a
 * service without root gets it in no other way. What says who may do what, such as a policy or
 * a certificate, may be read by all and changed by its owner only. Whoever may write to its folder
 * may put another file in its place, whatever mode it has.
 */
import { statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Logger } from "../log.js";

/** What a file holds. */
export type Holds = "secret" | "rules";

const OTHERS_MAY_WRITE = 0o022;
const OTHERS_MAY_READ = 0o044;
const GROUP_MAY_READ = 0o040;
const ALL_MAY_WRITE = 0o002;
/** In such a folder, as /tmp is, files are replaced by their owners only. */
const STICKY = 0o1000;

/** One line that names the file and how to mend it; undefined when nobody else may, and where there are no modes. */
export function looseness(path: string, holds: Holds): string | undefined {
  if (process.platform === "win32") return undefined;
  const { mode, uid } = statSync(path, { throwIfNoEntry: false }) ?? { mode: 0, uid: 0 };
  const others = uid === 0 ? mode & ~GROUP_MAY_READ : mode;
  if (holds === "secret" && (others & (OTHERS_MAY_READ | OTHERS_MAY_WRITE)) !== 0) {
    const what = (others & OTHERS_MAY_WRITE) === 0 ? "read" : "changed";
    return `${path} holds a secret and can be ${what} by other users of this machine: chmod 600 ${path}`;
  }
  if ((mode & OTHERS_MAY_WRITE) === 0) return replaceable(path);
  return `${path} says who may do what and can be changed by other users of this machine: chmod go-w ${path}`;
}

function replaceable(path: string): string | undefined {
  const folder = dirname(resolve(path));
  const { mode } = statSync(folder, { throwIfNoEntry: false }) ?? { mode: 0 };
  if ((mode & ALL_MAY_WRITE) === 0 || (mode & STICKY) !== 0) return undefined;
  return `${path} can be replaced by other users of this machine, who may write to its folder: chmod go-w ${folder}`;
}

/** Lines for the files that were named. */
export function loosenesses(files: readonly (string | undefined)[], holds: Holds): string[] {
  const lines = files.map((each) => (each === undefined ? undefined : looseness(each, holds)));
  return lines.filter((each) => each !== undefined);
}

/** The same, as warnings. */
export function warnOfLoose(files: readonly (string | undefined)[], holds: Holds, log: Logger): void {
  for (const line of loosenesses(files, holds)) log.warn(line);
}
