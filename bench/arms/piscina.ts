/** piscina alone: threads of the calling process, no mesh. It has no workers of its own. */
import { join } from "node:path";
import { Piscina } from "piscina";
import type { Arm, CallerRole, Setup, WorkerRole } from "../harness/arm.js";

const TASK = join(import.meta.dirname, "..", "handlers", "primes-task.js");

async function startCaller({ slots }: Setup): Promise<CallerRole> {
  const pool = new Piscina({ filename: TASK, minThreads: slots, maxThreads: slots });
  return {
    encode: (text) => text,
    decode: String,
    call: (payload, done) => {
      pool.run(payload).then(
        (answer) => done(undefined, answer),
        (error: Error) => done(error, undefined),
      );
    },
    stop: () => pool.destroy(),
  };
}

async function startWorker(): Promise<WorkerRole> {
  throw new Error("piscina runs in its caller");
}

export const arm: Arm = { startWorker, startCaller };
