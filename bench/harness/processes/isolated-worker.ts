/** A Poolmesh worker that computes in threads or in child processes, one for each slot. */
import { join } from "node:path";
import type { Arm, Setup, WorkerRole } from "../arm.js";
import { Worker } from "./poolmesh.js";

const HANDLER = join(import.meta.dirname, "..", "..", "handlers", "primes.js");

/** The arm of one kind of isolation. @param caller an arm of Poolmesh whose caller it has */
export function isolatedArm(isolation: "thread" | "process", { startCaller }: Arm): Arm {
  return {
    startWorker: async ({ group, servers, slots, index }: Setup): Promise<WorkerRole> => {
      const bus = { servers: servers[0] as string };
      const worker = new Worker({ pool: group, id: `w${index}`, slots, handlerFile: HANDLER, isolation, ...bus });
      await worker.start();
      return { stop: () => worker.stop() };
    },
    startCaller,
  };
}
