/** Where the inputs of `map` come from: stdin, a file's lines, or files. */
import { open, readFile } from "node:fs/promises";
import { PoolError } from "../../../mesh/errors.js";
import type { ResultForm } from "../../output/result-fields.js";
import type { Shell } from "../../shell.js";
import { stdinChunks } from "../../stdin.js";
import type { Groups } from "./feed.js";
import { glob } from "./glob.js";
import { lines } from "./lines.js";
import type { MapInput } from "./map-input.js";

/** What names a source. */
export interface SourceFlags {
  readonly lines?: string;
  readonly files?: readonly string[];
  /** With files: send the path instead of the content. */
  readonly paths?: boolean;
  /** "bytes": lines are taken as they are, a byte order mark included. */
  readonly codec: ResultForm;
}

/** Inputs, and how much there is of them when that is known beforehand. */
export interface Source {
  readonly inputs: Groups<MapInput>;
  /** In inputs, or in bytes of a file of lines. */
  readonly total?: { readonly inputs: number } | { readonly bytes: number };
}

/** The most files that are named at once. */
const MAX_FILES = 5_000_000;
/** How much of a file of lines is read at once, in bytes. */
const CHUNK_BYTES = 64 * 1_024;

/**
 * Opens a source.
 *
 * @throws PoolError `invalid_argument` for a file that cannot be read or a pattern that names none
 */
export async function openSource(shell: Shell, flags: SourceFlags): Promise<Source> {
  if (flags.files !== undefined) return openFiles(flags.files, flags.paths ?? false);
  if (flags.paths) throw refuse("paths", "only with --files");
  const options = { keepByteOrderMark: flags.codec === "bytes" };
  if (flags.lines === undefined || flags.lines === "-") return { inputs: lines(stdinChunks(shell), options) };
  const file = await open(flags.lines).catch((error) => refuseLines(flags.lines ?? "", error));
  const facts = await file.stat();
  if (facts.isDirectory()) {
    await file.close();
    throw refuse("lines", "this is a folder; say a file, or --files with a pattern");
  }
  const chunks = readChunks(flags.lines, file.createReadStream({ highWaterMark: CHUNK_BYTES }));
  // a pipe, such as <(command), has no size
  return { inputs: lines(chunks, options), ...(facts.isFile() ? { total: { bytes: facts.size } } : {}) };
}

async function* readChunks(file: string, stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* stream;
  } catch (error) {
    refuseLines(file, error as NodeJS.ErrnoException);
  }
}

function refuseLines(file: string, error: NodeJS.ErrnoException): never {
  throw refuse("lines", `cannot read ${JSON.stringify(file)} (${error.code ?? "error"})`, error);
}

async function openFiles(patterns: readonly string[], paths: boolean): Promise<Source> {
  const found = new Set<string>();
  for (const pattern of patterns) {
    for await (const path of glob(pattern)) {
      found.add(path);
      if (found.size > MAX_FILES) throw refuse("files", `more than ${MAX_FILES} files`);
    }
  }
  if (found.size === 0)
    throw refuse("files", `no file matches ${patterns.map((each) => JSON.stringify(each)).join(" or ")}`);
  return { inputs: readFiles(found, paths), total: { inputs: found.size } };
}

async function* readFiles(found: ReadonlySet<string>, paths: boolean): Groups<MapInput> {
  for (const path of found) yield [{ path, payload: paths ? Buffer.from(path) : await content(path) }];
}

async function content(path: string): Promise<Uint8Array> {
  return readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw refuse("files", `cannot read ${JSON.stringify(path)} (${error.code ?? "error"})`, error);
  });
}

function refuse(field: string, why: string, cause?: unknown): PoolError {
  return new PoolError("invalid_argument", `${field}: ${why}`, { field, cause });
}
