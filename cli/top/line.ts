/**
 * Lines of a screen as spans of text with a tone, and how a terminal gets them.
 *
 * Widths are counted before colour is added, so a line never runs over. Pure.
 */

/** What a colour stands for; "plain" has none. */
export type Tone = "plain" | "strong" | "soft" | "water" | "amber" | "coral" | "iris";

/** A piece of a line. */
export interface Span {
  readonly text: string;
  readonly tone: Tone;
}

/** A line, left to right. */
export type Line = readonly Span[];

const CODES: Readonly<Record<Tone, string>> = {
  plain: "",
  strong: "1",
  soft: "2",
  water: "36",
  amber: "33",
  coral: "31",
  iris: "35",
};

/** A piece of text with a tone. */
export function span(text: string, tone: Tone = "plain"): Span {
  return { text, tone };
}

/** Text as exactly `width` columns, cut with an ellipsis or filled up on the right (left for numbers). */
export function fit(text: string, width: number, side: "left" | "right" = "left"): string {
  const characters = [...text];
  if (characters.length > width)
    return `${characters.slice(0, Math.max(0, width - 1)).join("")}${width > 0 ? "…" : ""}`;
  const room = " ".repeat(width - characters.length);
  return side === "left" ? text + room : room + text;
}

/** Columns of the longest of these texts. */
export function longest(texts: readonly string[]): number {
  return texts.reduce((most, text) => Math.max(most, [...text].length), 0);
}

/** Columns that a line takes. */
export function lineWidth(line: Line): number {
  return line.reduce((sum, { text }) => sum + [...text].length, 0);
}

/** The line's first `columns` columns. */
export function clipLine(line: Line, columns: number): Line {
  const clipped: Span[] = [];
  let left = columns;
  for (const { text, tone } of line) {
    if (left <= 0) break;
    const characters = [...text].slice(0, left);
    clipped.push({ text: characters.join(""), tone });
    left -= characters.length;
  }
  return clipped;
}

/** The line as a terminal wants it; without colour, as plain text without trailing blanks. */
export function paintLine(line: Line, color: boolean): string {
  if (!color) {
    return line
      .map(({ text }) => text)
      .join("")
      .trimEnd();
  }
  return line.map(({ text, tone }) => (CODES[tone] === "" ? text : `\u001b[${CODES[tone]}m${text}\u001b[0m`)).join("");
}
