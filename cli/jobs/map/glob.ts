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
  /** Whether a name begins here, and for each open brace whether one began there. */
  let begins = true;
  const groups: boolean[] = [];
  for (const [token] of pattern.matchAll(TOKENS)) {
    const kind = kindOf(token, groups.length > 0);
    if (kind === "open") groups.push(begins);
    if (kind === "close") groups.pop();
    if (kind === "or") begins = groups.at(-1) ?? false;
    source += kind === "or" ? "|" : (begins && /^[*?]$/.test(token) ? NOT_HIDDEN : "") + tokenSource(token, kind);
    if (kind === "close" || kind === "other") begins = token === "/" || token === "**/";
  }
  return new RegExp(`^${source}${")".repeat(groups.length)}$`);
}

type TokenKind = "open" | "or" | "close" | "other";

function kindOf(token: string, inGroup: boolean): TokenKind {
  if (token === "{") return "open";
  if (token === "," && inGroup) return "or";
  return token === "}" && inGroup ? "close" : "other";
}

/** What a pattern is made of: folders, all below, a class, or one character. */
const TOKENS = /\*\*\/|\*\*|\[[!^]?[^\]]+\]|./gs;
const NOT_HIDDEN = "(?!\\.)";
const FOLDERS = `(?:${NOT_HIDDEN}[^/]+/)*`;
const SOURCES: Readonly<Record<string, string>> = {
  "**/": FOLDERS,
  "**": `${FOLDERS}${NOT_HIDDEN}[^/]+`,
  "*": "[^/]*",
  "?": "[^/]",
};

function tokenSource(token: string, kind: TokenKind): string {
  if (kind === "open") return "(?:";
  if (kind === "close") return ")";
  const source = SOURCES[token];
  if (source !== undefined) return source;
  return token.length > 1 ? classSource(token.slice(1, -1)) : token.replace(/[.+^$(){}|[\]\\]/g, "\\$&");
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

function classSource(text: string): string {
  const negated = text.startsWith("!") || text.startsWith("^");
  const members = (negated ? text.slice(1) : text).replace(/[\\\]^]/g, "\\$&");
  return negated ? `[^/${members}]` : `[${members}]`;
}
