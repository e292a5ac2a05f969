/** Poolmesh: a manager that is embedded in the caller, and workers with inline handlers. */
import type { Arm, CallerRole, Setup, WorkerRole } from "../harness/arm.js";
import { TimedWork } from "../harness/loops/timed-work.js";
import { Manager, Worker } from "../harness/processes/poolmesh.js";
import { untilTrue } from "../harness/processes/wait.js";

async function startWorker({ group, servers, slots, index, work }: Setup): Promise<WorkerRole> {
  const timed = new TimedWork();
  const worker = new Worker<Uint8Array, Uint8Array | string>({
    pool: group,
    id: `w${index}`,
    slots,
    codec: "bytes",
    run: work === "echo" ? (job) => job.payload : (job) => timed.run(Buffer.from(job.payload).toString()),
    servers: servers[index % servers.length] as string,
  });
  await worker.start();
  return { runs: timed.runs, stop: () => worker.stop() };
}

async function startCaller({ group, servers, slots, workers }: Setup): Promise<CallerRole> {
  const manager = await Manager.connect({ pool: group, servers: servers[0] as string, parkedLimit: 100_000 });
  await untilTrue(() => manager.capacity.slots === slots * workers, "the manager sees every worker");
  return {
    encode: (text) => Buffer.from(text),
    decode: (answer) => Buffer.from(answer as Uint8Array).toString(),
    call: (payload, done) => {
      manager.submit(payload as Uint8Array).then(
        (result) => done(undefined, result.payload),
        (error: Error) => done(error, undefined),
      );
    },
    stop: () => manager.close(),
  };
}

export const arm: Arm = { startWorker, startCaller };
