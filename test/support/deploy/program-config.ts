/** Whether a program takes the arguments and the environment that a deployment gives it, and may start with them. */
import { edgeConfig, edgeOf } from "../../../mesh/http/edge-options.js";
import { requireSafe } from "../../../mesh/http/public-rule.js";
import { readConfig } from "../../../mesh/process/config.js";
import { OPTIONS } from "../../../mesh/process/options.js";
import { MANAGER_LISTEN, readManagerConfig } from "../../../services/manager/config.js";
import { METER_LISTEN, readMeterConfig } from "../../../services/meter/config.js";
import { toWorkerOptions, WORKER_CONFIG } from "../../../services/worker/config.js";
import { readableLog } from "../log-lines.js";

/** What a deployment starts. */
export interface Started {
  /** What stands behind "poolmesh": a command, then flags. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** @throws PoolError what the program itself would say at its start */
export function requireStart({ args, env }: Started): void {
  const [command, ...rest] = args;
  const flags = flagsOf(rest);
  const { log } = readableLog();
  if (command === "manager") requireSafe(edgeOf(edgeConfig(readManagerConfig(env, flags), MANAGER_LISTEN)), log);
  else if (command === "meter") requireSafe(edgeOf(edgeConfig(readMeterConfig(env, flags), METER_LISTEN)), log);
  else if (command === "worker") toWorkerOptions(readConfig(WORKER_CONFIG, env, flags, OPTIONS), log);
  else throw new Error(`starts no service: ${args.join(" ")}`);
}

/** `--slots 4 --durable` as { slots: "4", durable: "true" }. */
function flagsOf(words: readonly string[]): Record<string, string> {
  const flags: Record<string, string> = {};
  for (const [index, word] of words.entries()) {
    if (!word.startsWith("--")) continue;
    const name = word.slice(2).replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    if (!(name in OPTIONS)) throw new Error(`no option: ${word}`);
    const next = words[index + 1];
    flags[name] = next === undefined || next.startsWith("--") ? "true" : next;
  }
  return flags;
}
