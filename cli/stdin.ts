/**
 * stdin as the input of a command: refused when it cannot be read, and left when the command is told to stop.
 *
 * Node gives an empty stream for a descriptor that it does not know how to read, such as that of a folder. It takes
 * a closed stdin for /dev/null before any of our code runs, so that one is empty.
 */
import { fstatSync, ReadStream } from "node:fs";
import { Socket } from "node:net";
import { PoolError } from "../mesh/errors.js";
import type { Shell } from "./shell.js";

/** The largest payload that is read from stdin, in bytes: more than any broker takes, and what an object store takes. */
const MAX_BYTES = 64 * 2 ** 20;
const MAX_LARGE_BYTES = 256 * 2 ** 20;

/** How stdin is read to its end. */
export interface ReadAllOptions {
  /** More than a broker takes is taken; default false. */
  readonly isLarge?: boolean;
  /** Ends the reading at once. */
  readonly signal?: AbortSignal;
}

/** What stdin gives, as it comes. @throws PoolError `invalid_argument` at once when it cannot be read, and while it is read */
export function stdinChunks({ stdin }: Pick<Shell, "stdin">): AsyncIterable<Uint8Array> {
  refuseUnreadable(stdin);
  return readChunks(stdin);
}

/** Reads stdin to its end. @throws PoolError `payload_too_large`, `invalid_argument` as {@link stdinChunks}, `canceled` */
export async function readAll(
  shell: Pick<Shell, "stdin">,
  { isLarge = false, signal }: ReadAllOptions = {},
): Promise<Uint8Array> {
  const reading = gather(stdinChunks(shell), isLarge ? MAX_LARGE_BYTES : MAX_BYTES);
  return signal === undefined ? reading : unlessAborted(reading, signal);
}

/** A read that waits cannot be taken back: it is left alone. */
function unlessAborted<T>(reading: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(new PoolError("canceled", "payload: stdin was not read to its end"));
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    void reading.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

async function gather(source: AsyncIterable<Uint8Array>, mostBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of source) {
    length += chunk.length;
    if (length > mostBytes) {
      throw new PoolError("payload_too_large", `payload: stdin has more than ${mostBytes} bytes`, { field: "payload" });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function* readChunks(stdin: Shell["stdin"]): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of stdin as AsyncIterable<Uint8Array>) yield chunk;
  } catch (error) {
    refuse(`it cannot be read (${(error as NodeJS.ErrnoException).code ?? "error"})`, error);
  }
}

function refuseUnreadable(stdin: Shell["stdin"]): void {
  const { fd } = stdin;
  if (fd === undefined) return;
  if (isFolder(fd)) refuse("this is a folder; give it a file or a pipe");
  if (!(stdin instanceof Socket || stdin instanceof ReadStream)) {
    refuse("it is no file, pipe, socket or terminal; use a pipe, such as cat FILE | poolmesh ...");
  }
}

function isFolder(fd: number): boolean {
  try {
    return fstatSync(fd).isDirectory();
  } catch (error) {
    return refuse(`it cannot be read (${(error as NodeJS.ErrnoException).code ?? "error"})`, error);
  }
}

function refuse(why: string, cause?: unknown): never {
  throw new PoolError("invalid_argument", `stdin: ${why}`, { field: "stdin", cause });
}
