/** How often a process was woken, from /proc. */
import { readFileSync } from "node:fs";

/** Voluntary context switches of a process's main thread so far: each is one sleep, and one wake. NaN where there is no /proc. */
export function wakesOf(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/task/${pid}/status`, "utf8");
    return Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1] ?? Number.NaN);
  } catch {
    return Number.NaN;
  }
}
