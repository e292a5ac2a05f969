#!/usr/bin/env node
/**
 * The poolmesh command: this process as a shell for one command.
 *
 * The only file of the command line that touches the process's signals and exit.
 */
import { fileURLToPath } from "node:url";
import { plainText } from "../mesh/plain-text.js";
import { keepMemoryOutOfCoreFiles } from "../mesh/process/files/core-files.js";
import { flushTelemetry } from "../mesh/trace/flush.js";
import { hasGone, hasNpmVariables, isOrphan, launchersOf, processTable } from "./launcher.js";
import { Output } from "./output/output.js";
import { runProgram } from "./program.js";
import type { Shell, SignalListener } from "./shell.js";

/** How long a service that has lost its parent may take to stop, in milliseconds. */
const ORPHAN_LIMIT_MS = 30_000;
/** How often to look whether npm is still there, in milliseconds. */
const NPM_POLL_MS = 1_000;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Commands that serve others: what they print is not what they are for. */
const SERVICES: ReadonlySet<string> = new Set(["worker", "manager", "meter", "up"]);

const shell: Shell = {
  env: process.env,
  argv: process.argv.slice(2),
  stdin: process.stdin,
  stdout: new Output(process.stdout, process.env),
  stderr: new Output(process.stderr, process.env),
  self: { file: process.execPath, args: [...process.execArgv, fileURLToPath(import.meta.url)] },
  exitCode: 0,
  onSignal,
  exitNow: (code) => process.exit(code),
};

keepMemoryOutOfCoreFiles();
stopWithParent();
stopWithNpm();
process.stdout.on("error", onOutputError);
// what is said beside the output is not what the command is for: it goes on, and its exit code stays
process.stderr.on("error", () => undefined);
await runProgram(shell);
await shell.stdout.flush();
await flushTelemetry();
process.exit(shell.exitCode);

function onSignal(listener: SignalListener): () => void {
  let count = 0;
  const handler = (signal: NodeJS.Signals): void => {
    count += 1;
    listener(signal, count);
  };
  for (const signal of SIGNALS) process.on(signal, handler);
  return () => {
    for (const signal of SIGNALS) process.off(signal, handler);
  };
}

/**
 * What is written to stdout arrives nowhere. A service goes on without. Any other command ends: when nobody reads any more, as behind
 * `| head`, without a word, as programs do then; else, as on a full disk, with the reason.
 */
function onOutputError({ code, message }: NodeJS.ErrnoException): void {
  if (SERVICES.has(shell.argv[0] ?? "")) return;
  if (code === "EPIPE") process.exit(141);
  process.stderr.write(`poolmesh: cannot write the output: ${plainText(message, 200)}\n`);
  process.exit(1);
}

/** A child with a channel to its parent stops when the parent is gone, however it went and whenever. */
function stopWithParent(): void {
  if (process.send === undefined) return;
  if (!process.connected) process.exit(1);
  process.once("disconnect", () => {
    setTimeout(() => process.exit(1), ORPHAN_LIMIT_MS).unref();
    process.kill(process.pid, "SIGTERM");
  });
  process.channel?.unref();
}

/** Started by npm or npx, it stops as at SIGTERM when npm has gone: npm does not pass a signal on. */
function stopWithNpm(): void {
  if (!hasNpmVariables(process.env)) return;
  const chain = launchersOf(process.ppid, processTable);
  if (chain === undefined) {
    if (process.env.npm_command === "exec" && isOrphan(process.ppid, processTable)) process.exit(1);
    return;
  }
  const timer = setInterval(() => {
    if (!hasGone(chain, process.ppid, processTable)) return;
    clearInterval(timer);
    process.kill(process.pid, "SIGTERM");
  }, NPM_POLL_MS);
  timer.unref();
}
