/** Text broken between words. Colours take no room. Pure. */
import { stripVTControlCharacters } from "node:util";

/** Characters that a person sees of it. */
export function shownWidth(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}

/** Lines of at most `width` characters; a longer word has a line of its own. */
export function wrap(text: string, width: number): string[] {
  return wrapWords(text.split(" "), width, " ");
}

/** A line that is too long goes on below its own beginning, a little to the right. */
export function wrapHanging(line: string, width: number): string[] {
  if (shownWidth(line) <= width) return [line];
  const [start = ""] = /^ */.exec(line) ?? [];
  const [first = "", ...rest] = wrap(line.slice(start.length), width - start.length - HANGING.length);
  return [start + first, ...rest.map((each) => start + HANGING + each)];
}

const HANGING = "  ";

/** The same of words, or of phrases that are not broken, with `gap` between two of a line. */
export function wrapWords(words: readonly string[], width: number, gap: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of words) {
    if (line !== "" && shownWidth(line) + gap.length + shownWidth(word) > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line}${gap}${word}`;
  }
  return [...lines, line];
}
