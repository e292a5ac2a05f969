/** `poolmesh map` as anybody starts it: lines in, a line of JSON for each out. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { FleetPlace } from "./fleet.js";
import { ROOT } from "./poolmesh.js";

/** How many lines, and how long each is. */
export interface MapLoad {
  readonly lines: number;
  readonly bytes: number;
}

/**
 * Outcomes a second, from the first to the last.
 *
 * @throws when an outcome is missing, or is no result
 */
export async function pipeThroughMap({ group, servers }: FleetPlace, { lines, bytes }: MapLoad): Promise<number> {
  const args = ["map", group, "--servers", servers[0] as string, "--log-level", "error"];
  const child = spawn(process.execPath, [join(ROOT, "dist", "cli", "main.js"), ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  child.stdin.end(`${"x".repeat(bytes)}\n`.repeat(lines));
  let outcomes = 0;
  let [firstAt, lastAt] = [0, 0];
  for await (const line of createInterface({ input: child.stdout })) {
    lastAt = performance.now();
    if (outcomes === 0) firstAt = lastAt;
    if (line.includes('"result"')) outcomes += 1;
  }
  const code = await exited;
  if (code !== 0 || outcomes !== lines) throw new Error(`poolmesh map: exit ${code}, ${outcomes} of ${lines} results`);
  return ((outcomes - 1) / (lastAt - firstAt)) * 1_000;
}
