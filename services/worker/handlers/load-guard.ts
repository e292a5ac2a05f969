/**
 * Ends a worker program whose handler blocks it, or ends it, while it is loaded or set up.
 *
 * Inline the handler's file is loaded on the worker's own event loop. A loop or
 * a synchronous wait at its top level blocks every timer there, so a thread
 * watches from beside. It runs nothing of the handler, and ends when the handler
 * is set up. A wait that does not block is limited by inline-runner.ts.
 */
import { writeSync } from "node:fs";
import { Worker as Thread } from "node:worker_threads";
import { EXIT_CONFIG } from "../../../mesh/process/config.js";
import { isEndingNow, WATCH_SCRIPT, type WatchData } from "../../../mesh/process/leave-now.js";
import { endedWhileLoading } from "./handler-life.js";

const SLICES = 10;

/**
 * Watches from now on: when the event loop is blocked for the limit, or the process is told to exit, a line on stderr,
 * and exit code 78.
 *
 * @param limitMs in milliseconds
 * @returns ends the watch
 */
export function guardLoading(handlerFile: string, limitMs: number): () => void {
  const beats = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const line = `poolmesh worker: handler: ${JSON.stringify(handlerFile)} blocks the worker while it is loaded or in setup(): a loop or a synchronous wait does not end, or this machine is too busy for the limit (limit ${limitMs} ms, --load-timeout-ms)\n`;
  const sliceMs = limitMs / SLICES;
  const workerData: WatchData = { beats, sliceMs, slices: SLICES, line, code: EXIT_CONFIG };
  const thread = new Thread(WATCH_SCRIPT, { eval: true, execArgv: [], env: {}, workerData });
  thread.unref();
  const say = (beat: number): void => {
    Atomics.store(beats, 0, beat);
    Atomics.notify(beats, 0);
  };
  const timer = setInterval(() => say(beats[0] === 0 ? 1 : 0), sliceMs).unref();
  const onExit = (code: number): void => {
    if (isEndingNow()) return;
    writeSync(2, `poolmesh worker: ${endedWhileLoading("start", `the process exited with code ${code}`).message}\n`);
    process.exitCode = EXIT_CONFIG;
  };
  process.on("exit", onExit);
  return () => {
    clearInterval(timer);
    process.off("exit", onExit);
    say(-1);
  };
}
