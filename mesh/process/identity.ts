/** The identity of a service: its incarnation and its version. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The incarnation of a process start: higher than that of every earlier start
 * under the same id, unless the clock went back. Milliseconds × 1024 + 10 random bits.
 *
 * @param nowMs wall clock, milliseconds since the epoch
 */
export function newIncarnation(nowMs: number, random: () => number = Math.random): bigint {
  return BigInt(Math.floor(nowMs)) * 1024n + BigInt(Math.floor(random() * 1024));
}

/** The folder that holds package.json, from sources and from dist/ alike. */
export function packageRoot(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const root = dirname(dirname(here));
  return root.endsWith("dist") ? dirname(root) : root;
}

/** The package's version, as package.json says. */
export function packageVersion(): string {
  const text = readFileSync(join(packageRoot(), "package.json"), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
