/**
 * Where a syntax error of an ES module is. Node's own error does not say: `import()` rejects with a message alone, and
 * the place is printed only for an error that nobody catches.
 *
 * So a process of its own compiles the file and what it imports by a relative path, by `import()` too where its argument is a
 * plain string. It runs none of it, and dies of the error.
 */
import { execFile } from "node:child_process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { attempt, isA } from "../../../../mesh/thrown.js";

/** How long that may take, in milliseconds. */
const LIMIT_MS = 5_000;
/** The most files that are compiled. */
const MOST_FILES = 500;

/** CommonJS; its argument is a file URL, its stdin the message. It throws the first error that has this message. */
const SCRIPT = `
const { readFileSync } = require("node:fs");
const { SourceTextModule } = require("node:vm");
const wanted = readFileSync(0, "utf8");
const open = [process.argv[1]];
const seen = new Set(open);
while (open.length > 0) {
  const url = open.shift();
  let names = [];
  let source = "";
  try {
    source = readFileSync(new URL(url), "utf8");
    const compiled = new SourceTextModule(source, { identifier: url });
    names = compiled.moduleRequests?.map(({ specifier }) => specifier) ?? compiled.dependencySpecifiers;
  } catch (error) {
    if (error?.message === wanted) throw error;
  }
  const later = Array.from(source.matchAll(/\\bimport\\s*\\(\\s*(["'\`])([^"'\`$]+)\\1/g), (found) => found[2]);
  for (const name of [...names, ...later]) {
    const next = /^(\\.|file:|\\/)/.test(name) ? new URL(name, url).href : "";
    if (!/\\.m?js$/.test(next) || seen.has(next) || seen.size >= ${MOST_FILES}) continue;
    seen.add(next);
    open.push(next);
  }
}`;

/**
 * The place of a syntax error, such as "/app/handler.mjs:4".
 *
 * @param file absolute path of the file that could not be imported
 * @param thrown what its import threw
 * @returns undefined when it is no syntax error, or the place cannot be found
 */
export function syntaxPlace(file: string, thrown: unknown): Promise<string | undefined> {
  const message = isA(thrown, SyntaxError) ? attempt(() => thrown.message) : undefined;
  if (message === undefined || !/\.m?js$/.test(file)) return Promise.resolve(undefined);
  const args = ["--experimental-vm-modules", "--no-warnings", "-e", SCRIPT, pathToFileURL(file).href];
  return new Promise((resolve) => {
    const child = execFile(process.execPath, args, { timeout: LIMIT_MS, env: {} }, (_error, _stdout, stderr) => {
      const [, url = "", line = ""] = /^(file:.*):(\d+)$/m.exec(stderr) ?? [];
      resolve(url === "" ? undefined : attempt(() => `${fileURLToPath(url)}:${line}`));
    });
    // one that cannot be started tells nothing
    child.stdin?.on("error", () => undefined).end(message);
  });
}
