/** Where the inputs of `map` come from: stdin, a file's lines, or files. */
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { PoolError } from "../../../mesh/errors.js";
import type { Shell } from "../../shell.js";
import { glob } from "./glob.js";
import { lines } from "./lines.js";
import type { MapInput } from "./map-input.js";

/** What names a source. */
export interface SourceFlags {
  readonly lines?: string;
  readonly files?: readonly string[];
  /** With files: send the path instead of the content. */
  readonly paths?: boolean;
}

/** Inputs, and how much there is of them when that is known beforehand. */
export interface Source {
  readonly inputs: AsyncIterable<MapInput>;
  /** In inputs, or in bytes of a file of lines. */
  readonly total?: { readonly inputs: number } | { readonly bytes: number };
}

/** The most files that are named at once. */
const MAX_FILES = 5_000_000;

/**
 * Opens a source.
 *
 * @throws PoolError `invalid_argument` for a file that cannot be read or a pattern that names none
 */
export async function openSource(shell: Shell, flags: SourceFlags): Promise<Source> {
  if (flags.files !== undefined) return openFiles(flags.files, flags.paths ?? false);
  if (flags.paths) throw refuse("paths", "only with --files");
  if (flags.lines === undefined || flags.lines === "-") return { inputs: lines(shell.stdin as AsyncIterable<Buffer>) };
  const { size } = await stat(flags.lines).catch((error: NodeJS.ErrnoException) => {
    throw refuse("lines", `cannot read the file (${error.code ?? "error"})`, error);
  });
  return { inputs: lines(createReadStream(flags.lines, { highWaterMark: 256 * 1024 })), total: { bytes: size } };
}

async function openFiles(patterns: readonly string[], paths: boolean): Promise<Source> {
  const found = new Set<string>();
  for (const pattern of patterns) {
    for await (const path of glob(pattern)) {
      found.add(path);
      if (found.size > MAX_FILES) throw refuse("files", `more than ${MAX_FILES} files`);
    }
  }
  if (found.size === 0) throw refuse("files", "no file matches");
  return { inputs: readFiles(found, paths), total: { inputs: found.size } };
}

async function* readFiles(found: ReadonlySet<string>, paths: boolean): AsyncGenerator<MapInput> {
  for (const path of found) yield { label: path, payload: paths ? Buffer.from(path) : await content(path) };
}

async function content(path: string): Promise<Uint8Array> {
  return readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw refuse("files", `cannot read ${JSON.stringify(path)} (${error.code ?? "error"})`, error);
  });
}

function refuse(field: string, why: string, cause?: unknown): PoolError {
  return new PoolError("invalid_argument", `${field}: ${why}`, { field, cause });
}
