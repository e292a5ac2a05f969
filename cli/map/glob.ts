/**
 * File patterns: `*` and `?` within a name, `**` for any folders, `[abc]`, `{a,b}`.
 *
 * Names that begin with a dot are found only when the pattern says the dot, as
 * in a shell; links to folders are not followed, so there is no cycle. Files
 * come in a fixed order, so that `--skip` means the same the next time.
 */
import type { Dirent } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

/** The files that a pattern names, sorted folder by folder. A path without any pattern is itself. */
export async function* glob(pattern: string): AsyncGenerator<string> {
  const parts = pattern.split("/");
  const magic = parts.findIndex(hasMagic);
  if (magic === -1) {
    if ((await lstat(pattern).catch(() => undefined))?.isDirectory() === false) yield pattern;
    return;
  }
  const base = parts.slice(0, magic).join("/");
  const root = base === "" ? (pattern.startsWith("/") ? "/" : ".") : base;
  const rest = parts.slice(magic);
  yield* walk(root, base === "" && root === "." ? "" : root, { whole: globToRegExp(rest.join("/")), parts: rest }, "");
}

/** A pattern as an expression over a relative path with "/". Pure. */
export function globToRegExp(pattern: string): RegExp {
  let source = "";
  let depth = 0;
  for (let i = 0; i < pattern.length; i += 1) {
    const c = pattern[i] as string;
    if (c === "*" && pattern.startsWith("**/", i)) {
      source += "(?:(?!\\.)[^/]+/)*";
      i += 2;
    } else if (c === "*" && pattern.startsWith("**", i)) {
      source += "(?:(?!\\.)[^/]+/)*(?!\\.)[^/]+";
      i += 1;
    } else if (c === "*") source += `${startsName(pattern, i) ? "(?!\\.)" : ""}[^/]*`;
    else if (c === "?") source += `${startsName(pattern, i) ? "(?!\\.)" : ""}[^/]`;
    else if (c === "[") {
      const end = pattern.indexOf("]", i + 2);
      if (end === -1) source += "\\[";
      else {
        source += classSource(pattern.slice(i + 1, end));
        i = end;
      }
    } else if (c === "{" && pattern.includes("}", i)) {
      depth += 1;
      source += "(?:";
    } else if (c === "}" && depth > 0) {
      depth -= 1;
      source += ")";
    } else if (c === "," && depth > 0) source += "|";
    else source += c.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  }
  return new RegExp(`^${source}${")".repeat(depth)}$`);
}

interface Matcher {
  readonly whole: RegExp;
  readonly parts: readonly string[];
}

async function* walk(folder: string, shown: string, matcher: Matcher, relative: string): AsyncGenerator<string> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((): Dirent[] => []);
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = relative === "" ? entry.name : `${relative}/${entry.name}`;
    const full = shown === "" ? entry.name : join(shown, entry.name);
    if (entry.isDirectory()) {
      if (mayContain(matcher, path)) yield* walk(join(folder, entry.name), full, matcher, path);
    } else if (matcher.whole.test(path)) yield full;
  }
}

/** Whether files below a folder could match: its hidden names must be said, and its depth must be in reach. */
function mayContain({ parts }: Matcher, path: string): boolean {
  const names = path.split("/");
  const any = parts.findIndex((part) => part.includes("**"));
  if (any === -1 && names.length >= parts.length) return false;
  return names.every((name, i) => {
    const part = any === -1 || i < any ? parts[i] : undefined;
    if (part === undefined) return !name.startsWith(".") || parts.some((each) => each.startsWith("."));
    return part.includes("{") || globToRegExp(part).test(name);
  });
}

function hasMagic(part: string): boolean {
  return /[*?[{]/.test(part);
}

function startsName(pattern: string, i: number): boolean {
  return i === 0 || pattern[i - 1] === "/";
}

function classSource(text: string): string {
  const negated = text.startsWith("!") || text.startsWith("^");
  const members = (negated ? text.slice(1) : text).replace(/[\\\]^]/g, "\\$&");
  return negated ? `[^/${members}]` : `[${members}]`;
}
