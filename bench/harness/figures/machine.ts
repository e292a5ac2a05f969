/** The machine and the versions that a run used: figures mean nothing without them. */
import { readFile } from "node:fs/promises";
import { cpus, loadavg, totalmem } from "node:os";
import { join } from "node:path";
import { findServer, ROOT } from "../processes/poolmesh.js";
import { redisVersion } from "../processes/redis.js";

/** What is known of a run's circumstances. */
export interface Machine {
  /** ISO 8601. */
  readonly date: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  /** Load average over one minute before the run. */
  readonly loadBefore: number;
  readonly versions: Readonly<Record<string, string>>;
}

const PEERS = ["@nats-io/transport-node", "moleculer", "@nestjs/microservices", "bullmq", "piscina"];

/** Looks around. */
export async function describeMachine(): Promise<Machine> {
  const versions: Record<string, string> = { poolmesh: await versionAt(ROOT), node: process.versions.node };
  versions["nats-server"] = (await findServer())?.version ?? "none";
  versions.redis = redisVersion() ?? "none";
  for (const peer of PEERS) versions[peer] = await versionAt(join(ROOT, "bench", "node_modules", peer));
  return {
    date: new Date().toISOString(),
    processor: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${process.arch}`,
    loadBefore: loadNow(),
    versions,
  };
}

/** Load average over one minute. */
export function loadNow(): number {
  return Math.round((loadavg()[0] ?? 0) * 100) / 100;
}

async function versionAt(folder: string): Promise<string> {
  const text = await readFile(join(folder, "package.json"), "utf8").catch(() => "{}");
  return (JSON.parse(text) as { version?: string }).version ?? "none";
}
