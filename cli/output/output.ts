/**
 * stdout and stderr: who reads them, in colour or not, and no faster than they read.
 *
 * NO_COLOR and FORCE_COLOR are respected; a pipe gets plain text.
 */
import type { Writable } from "node:stream";

/** What of a stream matters here. */
export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };

const STYLES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
} as const;
/** A style for a piece of text. */
export type Style = keyof typeof STYLES;

const DEFAULT_COLUMNS = 80;

/** One of the two outputs of the process. */
export class Output {
  readonly #stream: OutputStream;
  /** Whether it takes colours. */
  readonly color: boolean;

  constructor(stream: OutputStream, env: Readonly<Record<string, string | undefined>>) {
    this.#stream = stream;
    this.color = wantsColor(stream.isTTY === true, env);
  }

  /** Whether a person watches. */
  get isTerminal(): boolean {
    return this.#stream.isTTY === true;
  }

  /** Width in characters; 80 when unknown. */
  get columns(): number {
    return this.#stream.columns ?? DEFAULT_COLUMNS;
  }

  /** Characters that a line of a table may have: those of the terminal, and without one as many as it likes. */
  get room(): number {
    return this.isTerminal ? this.columns : Number.POSITIVE_INFINITY;
  }

  /** The stream itself, for what draws on its own. */
  get stream(): OutputStream {
    return this.#stream;
  }

  /** Writes, and resolves when the reader has room for more. */
  write(data: string | Uint8Array): Promise<void> {
    if (this.#stream.writableEnded || this.#stream.destroyed) return Promise.resolve();
    if (this.#stream.write(data)) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#stream.off("drain", done);
        this.#stream.off("close", done);
        resolve();
      };
      this.#stream.on("drain", done);
      this.#stream.on("close", done);
    });
  }

  /** Writes one line. */
  line(text: string): Promise<void> {
    return this.write(`${text}\n`);
  }

  /** Resolves when everything written has left. */
  flush(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#stream.writableEnded || this.#stream.destroyed) resolve();
      else this.#stream.write("", () => resolve());
    });
  }

  /** `text` in a style, where colours are wanted. */
  style(style: Style, text: string): string {
    return this.color ? paint(style, text) : text;
  }
}

/** `text` in a style. */
export function paint(style: Style, text: string): string {
  const [on, off] = STYLES[style];
  return `\u001b[${on}m${text}\u001b[${off}m`;
}

function wantsColor(isTerminal: boolean, env: Readonly<Record<string, string | undefined>>): boolean {
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== "") return false;
  if (env.FORCE_COLOR !== undefined && env.FORCE_COLOR !== "") return env.FORCE_COLOR !== "0";
  return isTerminal && env.TERM !== "dumb";
}
