/**
 * Where a syntax error of an ES module is. Node's own error does not say: `import()` rejects with a message alone, and
 * the place is printed only for an error that nobody catches.
 *
 * So a process of its own compiles the file and what it imports by a relative path, by `import()` too. It runs none of
 * it, and dies of the error. Of a computed name, such as `./steps/${name}.mjs`, the part before it says the folder. When
 * nothing is found in this way, the files below the first file's folder are compiled. Several files may have the same
 * error: then none of them is told of an import in a running job, since it may be the wrong one.
 */
import { execFile } from "node:child_process";
import { basename } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { attempt, isA } from "../../../../mesh/thrown.js";

/** How long that may take, in milliseconds. */
const LIMIT_MS = 5_000;
/** The most files that are compiled. */
const MOST_FILES = 500;
/** How many folders deep files are looked for below the first one. */
const DEPTH = 5;
/** How deep the causes of an error are looked at. */
const MOST_CAUSES = 5;
/** In the stack of an error that the compiler of ES modules gave. */
const COMPILER = /^SyntaxError[^\n]*\n\s+at [^\n]*\(node:internal\/modules\/esm/;

/** CommonJS; its arguments are a file URL and how many files may have the error, its stdin the message. It throws the first such error. */
const SCRIPT = `
const { readFileSync, readdirSync } = require("node:fs");
const { SourceTextModule } = require("node:vm");
const wanted = readFileSync(0, "utf8");
const [, first, most] = process.argv;
const open = [first];
const seen = new Set(open);
function add(url) {
  if (!/\\.m?js$/.test(url) || seen.has(url) || seen.size >= ${MOST_FILES}) return;
  seen.add(url);
  open.push(url);
}
function addFolder(url, depth) {
  let entries = [];
  try { entries = readdirSync(new URL(url), { withFileTypes: true }); } catch {}
  for (const entry of entries) {
    const name = encodeURIComponent(entry.name);
    if (entry.isFile()) add(new URL(name, url).href);
    else if (depth > 0 && entry.isDirectory() && !/^(\\.|node_modules$)/.test(entry.name)) addFolder(new URL(name + "/", url).href, depth - 1);
  }
}
function compileAll() {
  const found = [];
  while (open.length > 0) {
    const url = open.shift();
    let names = [];
    let source = "";
    try {
      source = readFileSync(new URL(url), "utf8");
      const compiled = new SourceTextModule(source, { identifier: url });
      names = compiled.moduleRequests?.map(({ specifier }) => specifier) ?? compiled.dependencySpecifiers;
    } catch (error) {
      if (error?.message === wanted) found.push(error);
    }
    const later = Array.from(source.matchAll(/\\bimport\\s*\\(\\s*(["'\`])([^"'\`$]+)\\1/g), (match) => match[2]);
    for (const name of [...names, ...later]) if (/^(\\.|file:|\\/)/.test(name)) add(new URL(name, url).href);
    for (const [, start] of source.matchAll(/\\bimport\\s*\\(\\s*\`(\\.[^\`$]*\\/)[^\`]*\\$\\{/g)) addFolder(new URL(start, url).href, 0);
  }
  return found;
}
let found = compileAll();
if (found.length === 0) {
  addFolder(new URL(".", first).href, ${DEPTH});
  found = compileAll();
}
if (found.length > 0 && found.length <= Number(most)) throw found[0];`;

/**
 * The place of a syntax error, such as "/app/handler.mjs:4".
 *
 * @param file absolute path of the file from which the search begins
 * @param thrown what an import threw
 * @param most with more files than these that have this error, none is told; default: the first of them is
 * @returns undefined when it is no syntax error, or the place cannot be found
 */
export function syntaxPlace(file: string, thrown: unknown, most = MOST_FILES): Promise<string | undefined> {
  const message = isA(thrown, SyntaxError) ? attempt(() => thrown.message) : undefined;
  if (message === undefined) return Promise.resolve(undefined);
  const args = ["--experimental-vm-modules", "--no-warnings", "-e", SCRIPT, pathToFileURL(file).href, String(most)];
  return new Promise((resolve) => {
    const child = execFile(process.execPath, args, { timeout: LIMIT_MS, env: {} }, (_error, _stdout, stderr) => {
      const [, url = "", line = ""] = /^(file:.*):(\d+)$/m.exec(stderr) ?? [];
      resolve(url === "" ? undefined : attempt(() => `${fileURLToPath(url)}:${line}`));
    });
    // one that cannot be started tells nothing
    child.stdin?.on("error", () => undefined).end(message);
  });
}

/**
 * Writes the place into what a handler threw, where it or one of its causes is a syntax error of an import in a running
 * job: file and line go to the message, the whole path to the stack. Node gives the same error at every import of that
 * file, so a place is looked for once.
 *
 * @param file absolute path of the file from which the search begins; undefined: this program's own
 * @returns undefined when there is nothing to look for
 */
export function tellSyntaxPlace(file: string | undefined, thrown: unknown): Promise<void> | undefined {
  const error = unplacedError(thrown);
  if (error === undefined) return undefined;
  const running = searches.get(error);
  if (running !== undefined) return running;
  const search = syntaxPlace(file ?? process.argv[1] ?? "", error, 1).then((place) => {
    if (place === undefined) return;
    attempt(() => {
      const stack = `${place}\n${error.stack}`;
      error.message = `${error.message} (at ${basename(place)})`;
      error.stack = stack;
    });
  });
  searches.set(error, search);
  return search;
}

const searches = new WeakMap<SyntaxError, Promise<void>>();

/** The syntax error among a thrown value and its causes that says no file. */
function unplacedError(thrown: unknown): SyntaxError | undefined {
  let each = thrown;
  for (let depth = 0; depth < MOST_CAUSES && isA(each, Error); depth += 1) {
    const error: Error = each;
    if (isA(error, SyntaxError) && COMPILER.test(String(attempt(() => error.stack)))) return error as SyntaxError;
    each = attempt(() => error.cause);
  }
  return undefined;
}
