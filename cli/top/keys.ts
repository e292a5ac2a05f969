/** Keys of a terminal, one by one, without Enter. */
import type { Readable } from "node:stream";

/** A terminal's input; off a terminal nothing is read. */
export type KeyInput = Readable & { readonly isTTY?: boolean; setRawMode?(on: boolean): unknown };

const INTERRUPT = "\u0003";

/**
 * Calls `onQuit` for "q", for Escape alone and for Ctrl-C, which is a key like
 * any other while keys are read one by one.
 *
 * @returns what gives the terminal back as it was
 */
export function onQuitKey(input: KeyInput, onQuit: () => void): () => void {
  if (input.isTTY !== true || input.setRawMode === undefined) return () => {};
  const onData = (chunk: Buffer | string): void => {
    const keys = chunk.toString();
    if (keys === "\u001b" || keys.includes(INTERRUPT) || /^[qQ]/.test(keys)) onQuit();
  };
  input.setRawMode(true);
  input.on("data", onData);
  input.resume();
  return () => {
    input.off("data", onData);
    input.pause();
    input.setRawMode?.(false);
  };
}
