/**
 * A handler that ends when its job's gate is open: a file of that name. Each start is a line of another file, written
 * with one write(2) that survives a kill -9.
 */
import { appendFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Job } from "../../../services/worker/worker.js";

const POLL_MS = 50;

/** What a job says. */
export interface Gated {
  readonly id: string;
  readonly gate: string;
}

export async function run({ payload: { id, gate } }: Job<Gated>): Promise<string> {
  const folder = process.env.GATES ?? "";
  appendFileSync(join(folder, "runs"), `${id}\n`);
  while (!existsSync(join(folder, gate))) await delay(POLL_MS);
  return id;
}
