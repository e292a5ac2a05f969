/**
 * Many test files in one process: to load the sources costs more than most unit tests do.
 * A file that is run by itself is not changed by this.
 */
import { readdirSync } from "node:fs";

const HERE = new URL(".", import.meta.url);

/** The test files in these folders of test/unit and below, sorted by path, such as "mesh/bundles.test.ts". */
export function testFilesIn(folders: readonly string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(new URL(folder, HERE), { encoding: "utf8", recursive: true })
      .filter((name) => name.endsWith(".test.ts"))
      .sort()
      .map((name) => `${folder}/${name}`),
  );
}

/** Registers the tests of these folders, in order. */
export async function importTests(folders: readonly string[]): Promise<void> {
  for (const file of testFilesIn(folders)) await import(`./${file}`);
}
