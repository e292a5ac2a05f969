/** Facts with their labels, for a person. Pure. */
import { wrap } from "./wrap.js";

const LABEL_WIDTH = 10;
/** The narrowest column of text, in characters. */
const MIN_TEXT_WIDTH = 20;

/** What is said, and the word before it. */
export type Fact = readonly [label: string, text: string];

/**
 * A line for each fact. A message goes on below its own beginning, broken between words. Ids, commands and payloads stay
 * whole, so that they can be copied.
 *
 * @param room characters in a line
 */
export function factLines(facts: readonly Fact[], room: number): string[] {
  return facts.flatMap(([label, text]) => {
    const texts = label === "message" ? wrap(text, Math.max(MIN_TEXT_WIDTH, room - LABEL_WIDTH)) : [text];
    return texts.map((each, i) => `${(i === 0 ? label : "").padEnd(LABEL_WIDTH - 1)} ${each}`);
  });
}
