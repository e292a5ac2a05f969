/** The handler of the durable fault test: writes each start to a file, with one write(2) that survives a kill -9. */
import { appendFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Job } from "../../../services/worker/worker.js";

/** What a job says. */
export interface Work {
  readonly id: string;
  readonly ms: number;
  /** It throws, always. */
  readonly fails: boolean;
}

export async function run({ payload }: Job<Work>): Promise<string> {
  appendFileSync(process.env.DURABLE_RUNS ?? "/dev/null", `${payload.id}\n`);
  await delay(payload.ms);
  if (payload.fails) throw new Error("as it was told");
  return payload.id;
}
