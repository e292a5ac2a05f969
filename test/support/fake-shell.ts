/** A shell for commands that run within the test: what they write is kept. */
import { PassThrough, Readable } from "node:stream";
import { Output } from "../../cli/output/output.js";
import { runProgram } from "../../cli/program.js";
import type { Shell } from "../../cli/shell.js";

/** How a command ended. */
export interface ShellExit {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `poolmesh ARGV` in this process. */
export async function runInShell(argv: readonly string[], env: Record<string, string> = {}): Promise<ShellExit> {
  const [out, err] = [new PassThrough(), new PassThrough()];
  const texts = [collect(out), collect(err)];
  const shell: Shell = {
    env,
    argv,
    stdin: Readable.from([]),
    stdout: new Output(out, env),
    stderr: new Output(err, env),
    self: { file: process.execPath, args: ["--import", "tsx", "cli/main.ts"] },
    exitCode: 0,
    onSignal: () => () => undefined,
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
