/**
 * What of a message may be sent: one bounded line, without the file paths of
 * this machine and without the user and password of a URL.
 *
 * Hidden: an absolute path below a top-level folder of this machine, such as
 * `/home/somebody/file.ts:12:3`, a `file:` URL and a Windows path. Kept: URLs,
 * dates, `a/b/c`, and the path of an HTTP request, such as `GET /media/7`.
 * A browser loads this file too: there only the known top-level folders count.
 */

/** The longest message that crosses the wire, in characters. */
export const MAX_MESSAGE_LENGTH = 512;

const HIDDEN = "…";
/** The longest text that is searched, in characters. */
const SEARCHED_LENGTH = 8 * MAX_MESSAGE_LENGTH;
/** Folders below which a path is hidden, whether this machine has them or not. */
const SYSTEM_FOLDERS = [
  ...["bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt", "nix", "opt", "proc"],
  ...["root", "run", "sbin", "snap", "srv", "sys", "tmp", "usr", "var"],
  ...["Applications", "Library", "System", "Users", "Volumes", "private"],
];

const ROOT = String.raw`(?:file:\/\/)?(?:\/|[A-Za-z]:[\\/]|\\\\(?=[\w.-]+\\))`;
const URL_TEXT = String.raw`(?<url>\b[A-Za-z][A-Za-z0-9+.-]*:\/\/[^\s"'${"`"}<>]+)`;
/** A path in quotes may have blanks. */
const QUOTED = String.raw`(?<quote>["'${"`"}])(?<quoted>${ROOT}(?:(?!\k<quote>).)+)\k<quote>`;
/** A path that begins where a word may begin, with its line and column. */
const BARE = String.raw`(?<![\w.~\-/\\@%…])(?<bare>${ROOT}[^\s"'${"`"}<>|*?()[\]{},;:]+)(?::\d+){0,2}`;
const URLS = new RegExp(URL_TEXT, "g");
const FINDINGS = new RegExp(`${QUOTED}|${URL_TEXT}|${BARE}`, "g");
/** What stands before the path of an HTTP request. */
const REQUEST = /\b(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)\s+$/;

interface Finding {
  readonly url?: string;
  readonly quote?: string;
  readonly quoted?: string;
  readonly bare?: string;
}

/** A message that is safe to send: one line of printable text, at most {@link MAX_MESSAGE_LENGTH} characters. */
export function safeMessage(text: string): string {
  const line = text
    .slice(0, SEARCHED_LENGTH)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ")
    .trim();
  // most messages name neither a URL nor a path
  const safe = /[/\\]/.test(line) ? line.replace(FINDINGS, toSafe) : line;
  return safe.length > MAX_MESSAGE_LENGTH ? `${cut(safe, MAX_MESSAGE_LENGTH - 1)}${HIDDEN}` : safe;
}

/** The arguments are those of String.replace: the match, its groups, its place, the whole text, the named groups. */
function toSafe(match: string, ...rest: unknown[]): string {
  const { url, quote = "", quoted, bare } = rest.at(-1) as Finding;
  if (url !== undefined && !/^file:/i.test(url)) return withoutUser(url);
  const before = (rest.at(-2) as string).slice(0, rest.at(-3) as number);
  const path = (url ?? quoted ?? bare ?? "").replace(/^file:\/\//i, "");
  return isOfMachine(path) && !REQUEST.test(before) ? quote + HIDDEN + quote : match;
}

function isOfMachine(path: string): boolean {
  if (!path.startsWith("/")) return true;
  const [first, second] = path.split("/").filter((each) => each !== "");
  return first !== undefined && second !== undefined && (folders().has(first) || /^[A-Za-z]:$/.test(first));
}

let known: ReadonlySet<string> | undefined;

/** The top-level folders of this machine, read once. */
function folders(): ReadonlySet<string> {
  known ??= new Set([...SYSTEM_FOLDERS, ...topLevelFolders()]);
  return known;
}

function topLevelFolders(): string[] {
  try {
    return globalThis.process.getBuiltinModule("node:fs").readdirSync("/");
  } catch {
    return [];
  }
}

/** A text of any length, such as a stack, with its lines and paths as they are and no URL's user and password. */
export function withoutUrlUsers(text: string): string {
  return text.includes("://") ? text.replace(URLS, withoutUser) : text;
}

/** A URL without user and password: all before the last "@" when its authority is not only a host and a port. */
function withoutUser(url: string): string {
  const start = url.indexOf("://") + 3;
  const authority = /^[^/?#]*/.exec(url.slice(start))?.[0] ?? "";
  const isHost = /^(\[[0-9A-Fa-f:.%]*\]|[^:@]*)(:\d*)?$/.test(authority);
  const at = url.lastIndexOf("@");
  return isHost || at < start ? url : `${url.slice(0, start)}${HIDDEN}${url.slice(at)}`;
}

/** The first characters of a text; a pair that makes one character is not cut in two. */
function cut(text: string, length: number): string {
  return text.slice(0, length).replace(/[\uD800-\uDBFF]$/, "");
}
