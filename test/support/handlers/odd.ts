/** A handler that does whatever its payload says: good, bad and ugly. */
import { spawnSync } from "node:child_process";
import { setImmediate as immediate, setTimeout as wait } from "node:timers/promises";
import type { PoolError } from "../../../mesh/errors.js";
import type { Job } from "../../../services/worker/worker.js";

/** The tricks it knows. */
export interface Trick {
  readonly do: string;
  readonly ms?: number;
  readonly text?: string;
  readonly bytes?: number;
  readonly steps?: number;
}

export async function run(job: Job): Promise<unknown> {
  const trick = job.payload as Trick;
  switch (trick.do) {
    case "echo":
      return { text: trick.text, id: job.id, attempt: job.attempt, worker: job.worker, pool: job.pool };
    case "throw":
      throw new Error(trick.text ?? "as asked, in /home/somebody/secret/file.ts:12");
    case "reject-for-good":
      throw Object.assign(new Error("never again"), { name: "PermanentError" });
    case "throw-string":
      throw "just a string";
    case "throw-null":
      throw null;
    case "exit":
      return process.exit(7);
    case "crash":
      setImmediate(() => {
        throw new Error("uncaught");
      });
      return new Promise(() => undefined);
    case "wait":
      await wait(trick.ms ?? 60_000, undefined, { signal: job.signal });
      return "waited";
    case "ignore-abort":
      await wait(trick.ms ?? 60_000);
      return "ignored";
    case "wait-and-say-why":
      return new Promise((_, reject) => {
        job.signal.addEventListener("abort", () => reject(new Error(String((job.signal.reason as Error).message))));
      });
    case "block": {
      const endMs = performance.now() + (trick.ms ?? 60_000);
      while (performance.now() < endMs) job.timeLeftMs;
      return "blocked";
    }
    case "block-natively":
      spawnSync("sleep", [String((trick.ms ?? 4_000) / 1_000)]);
      return "blocked";
    case "progress":
      for (let i = 1; i <= 3; i += 1) job.progress({ step: i });
      return "done";
    case "flood":
      for (let step = 1; step <= (trick.steps ?? 0); step += 1) job.progress({ step });
      return "done";
    case "flood-until-abort":
      for (let step = 1; !job.signal.aborted; step += 1) {
        job.progress({ step });
        await immediate();
      }
      return "done";
    case "report":
      try {
        return job.progress(trick.text === "map" ? new Map() : "x".repeat(trick.bytes ?? 0));
      } catch (thrown) {
        const { reason, field, message } = thrown as PoolError;
        return { reason, field, message };
      }
    case "big":
      return "x".repeat(trick.bytes ?? 0);
    case "no-json":
      return 1n;
    default:
      return trick;
  }
}
