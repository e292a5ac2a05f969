/** Help pages as wide as the terminal. Pure. */
import { stripVTControlCharacters } from "node:util";
import { shownWidth as width, wrap } from "./wrap.js";

/** How the rest of a command that is broken is indented. */
const CONTINUED = " \\\n    ";
const USAGE_INDENT = " ".repeat("Usage: ".length);
/** The narrowest column of descriptions, in characters. */
export const MIN_TEXT_WIDTH = 20;

/**
 * Text of a help page whose lines have at most `columns` characters: sentences are wrapped anew, and a command of the
 * examples goes on in the next line, as a shell takes it. Lines that fit stay as they are.
 */
export function fitHelp(text: string, columns: number): string {
  const lines: string[] = [];
  let run: string[] = [];
  const endRun = (): void => {
    const isTooWide = run.some((line) => width(line) > columns);
    lines.push(...(isTooWide ? wrap(run.join(" "), columns) : run));
    run = [];
  };
  const all = text.split("\n");
  for (let at = 0; at < all.length; at += 1) {
    const line = all[at] as string;
    const entry = entryAt(all, at);
    if (entry === undefined && /^[^\s]/.test(line) && !isUsage(line)) {
      run.push(line);
      continue;
    }
    endRun();
    if (entry === undefined) lines.push(...fittedLine(line, all[at - 1], columns));
    else {
      lines.push(...fittedEntry(entry, columns));
      at += entry.length - 1;
    }
  }
  endRun();
  return lines.join("\n");
}

const ENTRY = /^( *\S+ {2,})\S/;

function isUsage(line: string): boolean {
  return stripVTControlCharacters(line).startsWith("Usage:");
}

/** The word of an entry with what is before what is said of it; undefined: no entry begins here. */
function headOf(line: string): string | undefined {
  const plain = stripVTControlCharacters(line);
  const [, head] = ENTRY.exec(plain) ?? [];
  // Only the word has colours.
  return head === undefined ? undefined : line.slice(0, line.length - (plain.length - head.length));
}

/** The lines of a word and what is said of it, which goes on below its own beginning; undefined: none begins here. */
function entryAt(all: readonly string[], at: number): string[] | undefined {
  const head = headOf(all[at] as string);
  if (head === undefined) return undefined;
  const goesOn = new RegExp(`^ {${width(head)}}\\S`);
  let end = at + 1;
  while (end < all.length && goesOn.test(all[end] as string)) end += 1;
  return all.slice(at, end);
}

function fittedEntry(entry: readonly string[], columns: number): readonly string[] {
  const [first = "", ...rest] = entry;
  const head = headOf(first) ?? "";
  if (entry.every((line) => width(line) <= columns)) return entry;
  const margin = width(head);
  const said = [first.slice(head.length), ...rest.map((line) => line.slice(margin))].join(" ");
  return wrap(said, Math.max(MIN_TEXT_WIDTH, columns - margin)).map(
    (line, index) => (index === 0 ? head : " ".repeat(margin)) + line,
  );
}

/** @param before the line above, which says whether this one is the rest of a command */
function fittedLine(line: string, before: string | undefined, columns: number): readonly string[] {
  if (width(line) <= columns) return [line];
  if (isUsage(line))
    return wrap(line, columns - USAGE_INDENT.length).map((each, at) => (at === 0 ? each : USAGE_INDENT + each));
  const isCommand = /^ {2}(\S.*)?\bpoolmesh /.test(line) || before?.endsWith("\\");
  return [isCommand === true ? brokenCommand(line, columns) : line];
}

/** Broken before flags, pipes and quotes, never within quotes. */
function brokenCommand(line: string, columns: number): string {
  const [first = "", ...rest] = partsOf(line);
  const room = columns - CONTINUED.length;
  let [broken, last] = ["", first];
  for (const part of rest) {
    if (width(last) + 1 + width(part) <= room) {
      last += ` ${part}`;
      continue;
    }
    broken += last + CONTINUED;
    last = part;
  }
  return broken + last;
}

function partsOf(line: string): string[] {
  const parts: string[] = [];
  for (const word of line.trim().match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? []) {
    if (parts.length === 0) parts.push(line.slice(0, line.search(/\S/)) + word);
    else if (/^(--|\||['"])/.test(word)) parts.push(word);
    else parts.push(`${parts.pop()} ${word}`);
  }
  return parts;
}
