/** Subjects with wildcards, compiled once: `*` is one token, `>` is one or more at the end. */

/** A subject that may have wildcards. */
export class SubjectPattern {
  readonly text: string;
  readonly #tokens: readonly string[];
  readonly #isLiteral: boolean;

  constructor(text: string) {
    this.text = text;
    this.#tokens = text.split(".");
    this.#isLiteral = !hasWildcard(text);
  }

  /** Whether a literal subject is meant by this pattern. */
  matches(subject: string): boolean {
    if (this.#isLiteral) return subject === this.text;
    const last = this.#tokens.length - 1;
    let from = 0;
    for (let i = 0; i <= last; i += 1) {
      const token = this.#tokens[i] as string;
      if (token === ">" && i === last) return from < subject.length;
      const to = endOfToken(subject, from);
      if (from > subject.length || to === from) return false;
      if (token !== "*" && !(token.length === to - from && subject.startsWith(token, from))) return false;
      from = to + 1;
    }
    return from > subject.length;
  }

  /** Whether some subject is meant by both patterns. */
  overlaps(other: SubjectPattern): boolean {
    const [a, b] = [this.#tokens, other.#tokens];
    for (let i = 0; i < a.length && i < b.length; i += 1) {
      if (a[i] === ">" || b[i] === ">") return true;
      if (a[i] !== "*" && b[i] !== "*" && a[i] !== b[i]) return false;
    }
    return a.length === b.length;
  }
}

/** Whether a subject has a wildcard token. */
export function hasWildcard(subject: string): boolean {
  if (!subject.includes("*") && !subject.includes(">")) return false;
  const tokens = subject.split(".");
  return tokens.includes("*") || tokens.at(-1) === ">";
}

/** Where the token that begins at `from` ends: at its dot, or at the end of the subject. */
export function endOfToken(subject: string, from: number): number {
  const dot = subject.indexOf(".", from);
  return dot === -1 ? subject.length : dot;
}
