/** nats.js request() to a queue group: what its documentation shows for request and reply. */
import { connect } from "@nats-io/transport-node";
import type { Arm, CallerRole, Setup } from "../harness/arm.js";
import { startQueueMember } from "./queue-member.js";

const TIMEOUT_MS = 60_000;

async function startCaller({ group, servers }: Setup): Promise<CallerRole> {
  const nc = await connect({ servers: servers[0] as string });
  return {
    encode: (text) => Buffer.from(text),
    decode: (answer) => Buffer.from(answer as Uint8Array).toString(),
    call: (payload, done) => {
      nc.request(group, payload as Uint8Array, { timeout: TIMEOUT_MS }).then(
        (msg) => done(undefined, msg.data),
        (error: Error) => done(error, undefined),
      );
    },
    stop: () => nc.close(),
  };
}

export const arm: Arm = { startWorker: (setup) => startQueueMember(setup), startCaller };
