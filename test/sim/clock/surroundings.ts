/**
 * What a simulated run must not take from the real machine.
 *
 * While a run lasts, real time, real timers and real chance throw: whoever asks
 * for them would make two runs of one seed differ. The host's name and the
 * process id are in heartbeats, so they are the same everywhere.
 */

import { syncBuiltinESMExports } from "node:module";
import os from "node:os";

const SAME_PID = 4_242;
const SAME_HOST = "simulated";

/** Runs `work` with real time, timers and chance out of reach. */
export function sealed<T>(work: () => T): T {
  fixIdentity();
  const before = { random: Math.random, dateNow: Date.now, performanceNow: performance.now, setTimeout, setInterval };
  Math.random = () => refuse("Math.random");
  Date.now = () => refuse("Date.now");
  performance.now = () => refuse("performance.now");
  globalThis.setTimeout = (() => refuse("setTimeout")) as unknown as typeof setTimeout;
  globalThis.setInterval = (() => refuse("setInterval")) as unknown as typeof setInterval;
  try {
    return work();
  } finally {
    Math.random = before.random;
    Date.now = before.dateNow;
    performance.now = before.performanceNow;
    globalThis.setTimeout = before.setTimeout;
    globalThis.setInterval = before.setInterval;
  }
}

let fixed = false;

function fixIdentity(): void {
  if (fixed) return;
  fixed = true;
  os.hostname = () => SAME_HOST;
  syncBuiltinESMExports();
  Object.defineProperty(process, "pid", { value: SAME_PID, configurable: true });
}

function refuse(what: string): never {
  throw new Error(`a simulated part asks the real machine: ${what}`);
}
