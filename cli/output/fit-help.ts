/** Help pages as wide as the terminal. Pure. */
import { wrap } from "./wrap.js";

/** How the rest of a command that is broken is indented. */
const CONTINUED = " \\\n    ";

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
  for (const line of text.split("\n")) {
    if (/^[^\s]/.test(line) && !line.startsWith("Usage:")) {
      run.push(line);
      continue;
    }
    endRun();
    lines.push(width(line) > columns && /^ {2}(\S.*)?\bpoolmesh /.test(line) ? brokenCommand(line, columns) : line);
  }
  endRun();
  return lines.join("\n");
}

/** Broken before flags and pipes. */
function brokenCommand(line: string, columns: number): string {
  const [first = "", ...rest] = line.split(/ (?=--|\| )/);
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

function width(line: string): number {
  return [...line].length;
}
