/**
 * The fenced blocks of documents, to run and to compile.
 *
 * A comment such as `<!-- not run: why -->` on the line before a block exempts it. One such as `<!-- exits with 2 -->` says
 * how its commands end, where that is not with 0.
 */
import type { Step } from "./transcript.js";

/** One fenced block of a document. */
export interface Snippet {
  readonly file: string;
  /** The line of its opening fence, from 1. */
  readonly line: number;
  /** What stands after the opening fence; "" for nothing. */
  readonly language: string;
  readonly code: string;
  /** Why it is not run; undefined when it is to be run. */
  readonly notRun: string | undefined;
  /** How its commands end. */
  readonly exitCode: number;
  /** The document above the block. */
  readonly before: string;
}

/** The blocks of a document, in their order. */
export function snippetsOf(file: string, text: string): Snippet[] {
  return [
    ...text.matchAll(/^(?:<!-- not run: (.*) -->\n|<!-- exits with (\d+) -->\n)?```(\w*)\n([\s\S]*?)^```$/gm),
  ].map((match) => {
    const [, notRun, exit, language = "", code = ""] = match;
    const before = text.slice(0, match.index);
    const line = before.split("\n").length + (notRun === undefined && exit === undefined ? 0 : 1);
    return { file, line, language, code, notRun, exitCode: Number(exit ?? 0), before };
  });
}

/** The name in the first line of a code sample, `// name.ts` or `# name.py`; undefined when it has none. */
export function nameOf({ code }: Snippet): string | undefined {
  return /^(?:\/\/|#) (\S+\.(?:m?ts|py))$/m.exec(code.split("\n")[0] ?? "")?.[1];
}

/**
 * The commands of a block with their output. In a `console` block a command
 * begins with "$ "; in a `sh` block every line is one. A line that ends with a
 * backslash goes on.
 */
export function stepsOf({ code, language }: Snippet): Step[] {
  const steps: { command: string; expected: string[] }[] = [];
  const lines = code.trimEnd().replaceAll("\\\n", " ").split("\n");
  for (const line of lines) {
    if (language === "sh") steps.push({ command: line, expected: ["…"] });
    else if (line.startsWith("$ ")) steps.push({ command: line.slice(2), expected: [] });
    else steps.at(-1)?.expected.push(line);
  }
  return steps;
}
