/**
 * Files that are read again when they change.
 *
 * Looks at their times and sizes instead of waiting for events: that also sees files
 * that are replaced by a rename, on a network disk, or through a symbolic link, as
 * mounted secrets are.
 */
import { statSync } from "node:fs";

/** How often it looks, in milliseconds. */
export const LOOK_INTERVAL_MS = 1_000;

/** Calls back when one of some files has changed. */
export class WatchedFiles {
  readonly #paths: () => readonly string[];
  readonly #onChange: () => void;
  readonly #intervalMs: number;
  #seen = "";
  #timer: NodeJS.Timeout | undefined;

  /** @param paths asked for at every look, since what a file says may name other files */
  constructor(paths: () => readonly string[], onChange: () => void, intervalMs: number = LOOK_INTERVAL_MS) {
    this.#paths = paths;
    this.#onChange = onChange;
    this.#intervalMs = intervalMs;
  }

  /** Begins to look. Call it before the files are read for the first time: then no change falls between. */
  start(): void {
    this.#seen = this.#look();
    this.#timer ??= setInterval(() => this.#compare(), this.#intervalMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #compare(): void {
    const now = this.#look();
    if (now === this.#seen) return;
    this.#seen = now;
    this.#onChange();
    // The files that are named now may be others than before.
    this.#seen = this.#paths().length === now.split("\n").length ? now : this.#look();
  }

  #look(): string {
    return this.#paths().map(signatureOf).join("\n");
  }
}

function signatureOf(path: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(path);
    return `${path} ${ino} ${size} ${mtimeMs} ${ctimeMs}`;
  } catch {
    return `${path} none`;
  }
}
