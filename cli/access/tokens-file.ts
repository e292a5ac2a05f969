/** Reads and replaces a tokens file. */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { Mistakes } from "../../mesh/auth/policy/mistakes.js";
import { readTokenRecords, type TokenRecord, writeTokens } from "../../mesh/auth/policy/tokens.js";
import { PoolError } from "../../mesh/errors.js";

/** The records of a file; none when there is no file. @throws PoolError `invalid_argument` */
export function loadTokens(file: string): TokenRecord[] {
  const mistakes = new Mistakes();
  const text = read(file);
  const records = text === undefined ? [] : readTokenRecords(text, mistakes);
  mistakes.throwIfAny(file);
  return records;
}

/** As loadTokens, of a file that must be there. @throws PoolError `invalid_argument` */
export function knownTokens(file: string): TokenRecord[] {
  if (!existsSync(file)) throw refused(file, "read", { code: "ENOENT" });
  return loadTokens(file);
}

/** Replaces a file by what `change` makes of its records. A program that reads it meanwhile sees the old or the new one. */
export function changeTokens(file: string, change: (records: readonly TokenRecord[]) => readonly TokenRecord[]): void {
  const text = writeTokens(change(loadTokens(file)));
  const fresh = `${file}.${process.pid}`;
  try {
    writeFileSync(fresh, text, { mode: 0o600, flag: "wx" });
    renameSync(fresh, file);
  } catch (error) {
    throw refused(file, "write", error);
  }
}

/** Writes a secret to a file that is new and that only this user can read. @throws PoolError `invalid_argument` */
export function writeSecret(file: string, secret: string): void {
  try {
    writeFileSync(file, `${secret}\n`, { mode: 0o600, flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw refused(file, "write", error);
    throw new PoolError("invalid_argument", `out: ${file} is there already: remove it, or name another`, {
      field: "out",
    });
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw refused(file, "read", error);
  }
}

function refused(file: string, verb: string, error: unknown): PoolError {
  const code = (error as NodeJS.ErrnoException).code ?? "error";
  return new PoolError("invalid_argument", `file: cannot ${verb} ${file} (${code})`, { field: "file", cause: error });
}
