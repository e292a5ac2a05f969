/** The demo's input: every file of a folder, in a fixed order. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/**
 * Files of one job. A file takes about a millisecond, and so does the way of a job to its worker and back: with a file
 * a job, slots would wait for a quarter of their time.
 */
export const FILES_PER_JOB = 16;

/** A file and its size in bytes. */
export interface InputFile {
  readonly path: string;
  readonly bytes: number;
}

/** All regular files below `folder`; links are left out. */
export async function listFiles(folder: string): Promise<InputFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(paths.sort().map(async (path) => ({ path, bytes: (await stat(path)).size })));
}

/** At most `limit` of the items, taken evenly from all of them. */
export function evenly<T>(items: readonly T[], limit: number): T[] {
  if (items.length <= limit) return [...items];
  return Array.from({ length: limit }, (_, i) => items[Math.floor((i * items.length) / limit)] as T);
}

/** The items in groups of about {@link FILES_PER_JOB}, each taken evenly from all of them: large files lie side by side. */
export function inGroups<T>(items: readonly T[]): T[][] {
  const groups = Math.ceil(items.length / FILES_PER_JOB);
  return Array.from({ length: groups }, (_, i) => items.filter((_item, place) => place % groups === i));
}
