/** Poolmesh as most programs use it: a client, a manager that is a service of its own, and workers with inline handlers. */
import type { Arm, CallerRole, Setup } from "../harness/arm.js";
import { Client } from "../harness/processes/poolmesh.js";
import { arm as embedded } from "./poolmesh.js";

async function startCaller({ group, servers }: Setup): Promise<CallerRole> {
  const client = await Client.connect({ pool: group, servers: servers[0] as string });
  // The first job waits until its manager has heard of the workers.
  await client.submit("first", { waitForPool: true });
  return {
    encode: (text) => Buffer.from(text),
    decode: (answer) => Buffer.from(answer as Uint8Array).toString(),
    call: (payload, done) => {
      client.submit(payload as Uint8Array).then(
        (result) => done(undefined, result.payload),
        (error: Error) => done(error, undefined),
      );
    },
    stop: () => client.close(),
  };
}

export const arm: Arm = { startWorker: embedded.startWorker, startCaller };
