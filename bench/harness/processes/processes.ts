/** Processor time and memory of any process, from /proc; 0 where there is none. */
import { readFileSync } from "node:fs";

/** Clock ticks a second in /proc: fixed on Linux. */
const TICKS = 100;

/** Processor time so far, in microseconds, in steps of 10,000. */
export function cpuUsOf(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return ((Number(fields[11]) + Number(fields[12])) / TICKS) * 1e6;
  } catch {
    return 0;
  }
}

/** Resident memory, in bytes. */
export function residentBytesOf(pid: number): number {
  try {
    const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    return Number(match?.[1] ?? 0) * 1_024;
  } catch {
    return 0;
  }
}
