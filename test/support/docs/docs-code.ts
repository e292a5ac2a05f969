/** Programs that stand in a document, written to files that can be run. */
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";

const CACHE = resolve(".cache/docs");

/** The path of a file with the first block of `language` of docs/protocol.md. */
export async function protocolCode(language: string, name: string): Promise<string> {
  const text = await readFile("docs/protocol.md", "utf8");
  const code = text.split(`\`\`\`${language}\n`)[1]?.split("```")[0];
  assert.ok(code, `a block of ${language}`);
  await mkdir(CACHE, { recursive: true });
  const path = join(CACHE, name);
  await writeFile(path, code);
  return path;
}
