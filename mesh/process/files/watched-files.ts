/**
 * Files that are read again when they change.
 *
 * Looks at their times and sizes instead of waiting for events: that also sees files
 * that are replaced by a rename, on a network disk, or through a symbolic link, as
 * mounted secrets are.
 *
 * What is read is what is watched: a file that was looked for and was not there counts
 * as one that changes when it comes.
 */
import { readFileSync, statSync } from "node:fs";

/** How often it looks, in milliseconds. */
export const LOOK_INTERVAL_MS = 1_000;

/** Reads a file as text. @throws the error of the file system */
export type ReadFile = (path: string) => string;

/** Calls back when one of some files has changed. */
export class WatchedFiles {
  readonly #onChange: () => void;
  readonly #intervalMs: number;
  /** What was read last: path → how the file was just before it was read. */
  #seen = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;

  /** @param onChange reads all files again, by {@link readAll} */
  constructor(onChange: () => void, intervalMs: number = LOOK_INTERVAL_MS) {
    this.#onChange = onChange;
    this.#intervalMs = intervalMs;
  }

  /** Does what reads the files, and watches those that it tried to read, also when it throws. */
  readAll<T>(work: (read: ReadFile) => T): T {
    const seen = new Map<string, string>();
    this.#seen = seen;
    return work((path) => {
      seen.set(path, signatureOf(path));
      return readFileSync(path, "utf8");
    });
  }

  /** The files that were read last, or looked for. */
  get paths(): readonly string[] {
    return [...this.#seen.keys()];
  }

  /** Begins to look. */
  start(): void {
    this.#timer ??= setInterval(() => this.#compare(), this.#intervalMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #compare(): void {
    for (const [path, signature] of this.#seen) if (signatureOf(path) !== signature) return this.#onChange();
  }
}

function signatureOf(path: string): string {
  try {
    const { dev, ino, size, mtimeMs, ctimeMs } = statSync(path);
    return `${dev} ${ino} ${size} ${mtimeMs} ${ctimeMs}`;
  } catch {
    return "none";
  }
}
