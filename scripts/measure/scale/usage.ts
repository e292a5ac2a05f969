/** What the system knows of a process: processor time, wakes of its main thread, memory. Linux only. */
import { readFileSync } from "node:fs";

/** Clock ticks a second in /proc: fixed on Linux. */
const TICKS = 100;

/** Sums since the process began, and its memory now. */
export interface Usage {
  readonly cpuMs: number;
  /** Voluntary context switches of the main thread. */
  readonly wakes: number;
  readonly residentBytes: number;
}

/** What it has used so far. @param pid of a process that runs */
export function usageOf(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  const status = readFileSync(`/proc/${pid}/task/${pid}/status`, "utf8");
  return {
    cpuMs: ((Number(stat[11]) + Number(stat[12])) * 1_000) / TICKS,
    wakes: Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1]),
    residentBytes: Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1_024,
  };
}

/** What several processes use while `work` goes on: processor time of all of them, and as text their share of a core, wakes a second, memory. */
export async function shares(pids: Readonly<Record<string, readonly number[]>>, work: () => Promise<unknown>) {
  const all = Object.values(pids).flat();
  const before = new Map(all.map((pid) => [pid, usageOf(pid)]));
  const began = performance.now();
  await work();
  const ms = performance.now() - began;
  let cpuMs = 0;
  const lines = Object.entries(pids).map(([name, of]) => {
    const sum = { cpu: 0, wakes: 0, mb: 0 };
    for (const pid of of) {
      const [from, to] = [before.get(pid) as Usage, usageOf(pid)];
      sum.cpu += to.cpuMs - from.cpuMs;
      sum.wakes += to.wakes - from.wakes;
      sum.mb += to.residentBytes / 2 ** 20;
    }
    cpuMs += sum.cpu;
    const share = ((sum.cpu / ms) * 100).toFixed(1).padStart(6);
    const wakes = ((sum.wakes / ms) * 1_000).toFixed(1).padStart(8);
    return `  ${name.padEnd(10)}${share} % of a core ${wakes} wakes/s ${sum.mb.toFixed(0).padStart(6)} MB`;
  });
  return { ms, cpuMs, text: lines.join("\n") };
}
