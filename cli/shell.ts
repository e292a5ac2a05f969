/**
 * What a command knows of the process that it runs in.
 *
 * main.ts makes it of the real process; tests make their own. Commands touch
 * nothing of `process` but through it.
 */
import type { Readable } from "node:stream";
import type { Output } from "./output/output.js";

/** How to start this program again, as a child. */
export interface Invocation {
  readonly file: string;
  readonly args: readonly string[];
}

/** Hears SIGINT, SIGTERM and SIGHUP; `count` is 1 for the first. */
export type SignalListener = (signal: NodeJS.Signals, count: number) => void;

/** A command's surroundings. */
export interface Shell {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What stands behind the program's name. */
  readonly argv: readonly string[];
  /** `fd`: its descriptor, where it has one. */
  readonly stdin: Readable & { readonly isTTY?: boolean; readonly fd?: number };
  readonly stdout: Output;
  readonly stderr: Output;
  readonly self: Invocation;
  /** What the process will exit with; a command sets it. */
  exitCode: number;
  /** From now on signals do not end the process but call `listener`. Returns what takes that back. */
  onSignal(listener: SignalListener): () => void;
  /** Ends the process at once. */
  exitNow(code: number): never;
}
