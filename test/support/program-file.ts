/** Programs of the tests, from the sources and from what scripts/compile-tests.js makes of them alike. */
import { extname } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The path of a program: a source when the test file runs as one, else what is compiled from it.
 *
 * @param path relative to the test file and without its extension, such as "./service-process"
 * @param importMetaUrl `import.meta.url` of the test file
 */
export function programFile(path: string, importMetaUrl: string): string {
  const file = new URL(importMetaUrl);
  return fileURLToPath(new URL(`${path}${extname(file.pathname)}`, file));
}

/** The flags with which Node can run this file: TypeScript goes through tsx. */
export function loaderOf(file: string): string[] {
  return file.endsWith(".ts") ? ["--import", "tsx"] : [];
}
