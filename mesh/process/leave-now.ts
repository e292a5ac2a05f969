/**
 * Ends this process at once, whatever its threads do.
 *
 * {@link endNow} is for a person who does not want to wait. Who has threads that may be
 * blocked in native code goes on with {@link leaveNow} when the process tells of its exit.
 *
 * `process.exit()` waits for every thread, and so for ever when one is blocked
 * in native code, such as `spawnSync`. In a thread it ends only that thread. The
 * `proc_exit` of WASI is the `exit()` of C: it does neither.
 */

/** CommonJS that has `code` in its scope; it runs in this process or in a thread. */
const LEAVE = `
try {
  const { WASI } = process.getBuiltinModule("node:wasi");
  const wasi = new WASI({ version: "preview1", returnOnExit: false });
  const memory = new WebAssembly.Memory({ initial: 1 });
  wasi.start({ exports: { memory, _start: () => wasi.wasiImport.proc_exit(code) } });
} catch {
  process.kill(process.pid, "SIGKILL");
}`;

/**
 * A script for a thread: it waits for a sign of life, and when none comes for as
 * long as the limit, it writes a line to stderr and ends the process.
 *
 * `workerData`: {@link WatchData}. The limit is cut into slices, so that a
 * process that was suspended loses one slice at most.
 */
export const WATCH_SCRIPT = `
const { workerData } = require("node:worker_threads");
const { beats, sliceMs, slices, line, code } = workerData;
for (let seen = Atomics.load(beats, 0), left = slices; seen >= 0; ) {
  Atomics.wait(beats, 0, seen, sliceMs);
  const now = Atomics.load(beats, 0);
  left = now === seen ? left - 1 : slices;
  seen = now;
  if (left > 0) continue;
  try {
    require("node:fs").writeSync(2, line);
  } catch {}
  ${LEAVE}
}`;

/** What {@link WATCH_SCRIPT} is given. */
export interface WatchData {
  /** Its first number changes at each sign of life; a negative one ends the watch. */
  readonly beats: Int32Array;
  readonly sliceMs: number;
  readonly slices: number;
  /** Ends with a line end. */
  readonly line: string;
  /** The exit code. */
  readonly code: number;
}

let isEnding = false;

/** Whether {@link endNow} ends this process: no other part has ended it. */
export function isEndingNow(): boolean {
  return isEnding;
}

/**
 * Ends this process with an exit code, as `process.exit()` does: threads that wait are ended first. The `exit()` of C
 * beside a thread that waits for a beat crashes now and then.
 */
export function endNow(code: number): void {
  isEnding = true;
  process.exit(code);
}

/** Ends this process with an exit code, without waiting for threads: one of them may be blocked in native code. */
export function leaveNow(code: number): void {
  new Function("code", LEAVE)(code);
}
