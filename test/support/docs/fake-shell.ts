/** A shell for commands that run within the test: what they write is kept. */
import { PassThrough, Readable } from "node:stream";
import { Output } from "../../../cli/output/output.js";
import { runProgram } from "../../../cli/program.js";
import type { Shell, SignalListener } from "../../../cli/shell.js";
import { CLI } from "../process.js";

/** How a command ended. */
export interface ShellExit {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a command is run. */
export interface ShellOptions {
  /** What stands on stdin; default nothing. */
  readonly input?: string | Uint8Array;
  /** The width of a terminal that stderr is; default none: stderr is a pipe. */
  readonly terminalColumns?: number;
  /** The width of a terminal that stdout is; default none: stdout is a pipe. */
  readonly outputColumns?: number;
  /** Hears the listener that the command gives its signals to. */
  readonly onSignals?: (listener: SignalListener) => void;
}

/** Runs `poolmesh ARGV` in this process. */
export async function runInShell(
  argv: readonly string[],
  env: Record<string, string> = {},
  options: ShellOptions = {},
): Promise<ShellExit> {
  const [out, err] = [new PassThrough(), new PassThrough()];
  const { input, terminalColumns: columns, outputColumns } = options;
  if (columns !== undefined) Object.assign(err, { isTTY: true, columns });
  if (outputColumns !== undefined) Object.assign(out, { isTTY: true, columns: outputColumns });
  const texts = [collect(out), collect(err)];
  const shell: Shell = {
    env,
    argv,
    stdin: Readable.from(input === undefined ? [] : [Buffer.from(input)]),
    stdout: new Output(out, env),
    stderr: new Output(err, env),
    self: { file: process.execPath, args: [...CLI] },
    exitCode: 0,
    onSignal: (listener) => {
      options.onSignals?.(listener);
      return () => undefined;
    },
    exitNow: (code) => {
      throw new Error(`exit ${code}`);
    },
  };
  await runProgram(shell);
  out.end();
  err.end();
  const [stdout = "", stderr = ""] = await Promise.all(texts);
  return { code: shell.exitCode, stdout, stderr };
}

async function collect(stream: PassThrough): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
