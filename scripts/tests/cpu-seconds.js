import { readFileSync } from "node:fs";

const TICKS_PER_SECOND = 100;

/** Seconds of CPU of this process and of every one that it has waited for; "-" where there is no /proc. */
export function cpuSeconds() {
  try {
    const [, after = ""] = readFileSync("/proc/self/stat", "utf8").split(") ");
    // utime, stime, cutime and cstime.
    const ticks = after.split(" ").slice(11, 15).map(Number);
    return (ticks.reduce((sum, each) => sum + each, 0) / TICKS_PER_SECOND).toFixed(1);
  } catch {
    return "-";
  }
}
