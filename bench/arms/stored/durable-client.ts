/** Poolmesh's durable lane as most programs use it: a client that enqueues, a manager with the lane, and workers. */
import type { Arm, CallerRole, Done, Setup } from "../../harness/arm.js";
import { Client } from "../../harness/processes/poolmesh.js";
import { arm as embedded } from "../poolmesh.js";

/** @param keepOutcome whether outcomes are stored */
export function durableArm(keepOutcome: boolean): Arm {
  const startCaller = async ({ group, servers }: Setup): Promise<CallerRole> => {
    const client = await Client.connect({ pool: group, servers: servers[0] as string });
    await client.submit("first", { waitForPool: true });
    return {
      encode: (text) => Buffer.from(text),
      decode: (answer) => Buffer.from(answer as Uint8Array).toString(),
      call: (payload, done) => {
        client
          .enqueue(payload as Uint8Array, { keepOutcome })
          .then((receipt) => receipt.result())
          .then(
            (result) => done(undefined, result.payload),
            (error: Error) => done(error, undefined),
          );
      },
      callMany: (payloads, done) => void enqueueAll(client, payloads as Uint8Array[], keepOutcome, done),
      stop: () => client.close(),
    };
  };
  return { startWorker: embedded.startWorker, startCaller };
}

async function enqueueAll(client: Client, payloads: Uint8Array[], keepOutcome: boolean, done: Done): Promise<void> {
  for await (const each of client.enqueueMany(payloads, { keepOutcome, window: 1_024 })) {
    if (!each.ok) done(each.error, undefined);
    else
      each.receipt.result().then(
        (result) => done(undefined, result.payload),
        (error: Error) => done(error, undefined),
      );
  }
}
