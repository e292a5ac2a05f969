/** Puts a generated block into a document, between its two marks. */
import { readFile, writeFile } from "node:fs/promises";

/**
 * Replaces what stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`.
 *
 * @throws Error when the file has no such marks
 */
export async function writeBlock(file: string, name: string, text: string): Promise<void> {
  const before = await readFile(file, "utf8");
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const [from, to] = [before.indexOf(begin), before.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${file} has no block ${name}`);
  await writeFile(file, `${before.slice(0, from + begin.length)}\n\n${text.trim()}\n\n${before.slice(to)}`);
}
