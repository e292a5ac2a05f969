/** Stacks as a person reads them on a terminal: one frame a line, down to the last frame of their own code. Pure. */
import { plainText } from "./plain-text.js";

const MAX_LINES = 24;
const MAX_LINE_LENGTH = 500;
const FRAME = /^\s*at /;
/** Frames of Node itself. */
const OF_NODE = /(?:\(|at )node:/;

/**
 * The lines of a stack. The frames below the last one of the reader's own code are left out: those of Node and of
 * this package, which called it. The head is left out when it only repeats the message.
 *
 * @param message what stands beside it already
 * @param root the folder of this package
 */
export function readableStack(stack: string, message: string, root: string): string[] {
  const lines = stack.split("\n");
  const own = lines.findLastIndex((line) => FRAME.test(line) && !OF_NODE.test(line) && !line.includes(`${root}/`));
  const kept = own < 0 ? lines : lines.filter((line, at) => at <= own || !FRAME.test(line));
  const first = kept[0] === `Error: ${message}` || kept[0] === message ? 1 : 0;
  return kept.slice(first, first + MAX_LINES).map((line) => plainText(line.trim(), MAX_LINE_LENGTH));
}
