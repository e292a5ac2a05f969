/** Checks digests against a program that has nothing to do with us. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Digest } from "../handlers/digest.js";

const run = promisify(execFile);

/** Programs that print "HASH  FILE" for each file. */
const PROGRAMS: readonly (readonly [command: string, ...args: string[]])[] = [
  ["sha256sum"],
  ["shasum", "-a", "256"],
  ["openssl", "dgst", "-sha256", "-r"],
];

/** What was found. */
export interface Check {
  /** The program, undefined when the machine has none of them. */
  readonly program: string | undefined;
  readonly checked: number;
  /** Files whose digests differ. */
  readonly different: readonly string[];
}

/** Digests `sample` again with the first program that is there, and compares. */
export async function checkDigests(sample: readonly Digest[]): Promise<Check> {
  if (sample.length === 0) return { program: undefined, checked: 0, different: [] };
  const files = sample.map(({ file }) => file);
  for (const [command, ...args] of PROGRAMS) {
    const output = await run(command, [...args, ...files], { maxBuffer: 64 * 2 ** 20 }).catch((error) => {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    });
    if (output === undefined) continue;
    const theirs = new Map(output.stdout.split("\n").map(parseLine));
    const different = sample.filter(({ file, sha256 }) => theirs.get(file) !== sha256).map(({ file }) => file);
    return { program: command, checked: sample.length, different };
  }
  return { program: undefined, checked: 0, different: [] };
}

function parseLine(line: string): [file: string, sha256: string] {
  return [line.slice(66), line.slice(0, 64)];
}
