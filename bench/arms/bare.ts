/**
 * The limit: the same NATS client with nothing around it. One wildcard inbox,
 * a callback for each call, no timeout, no header, no promise; a lost job would
 * never be noticed.
 */
import { connect, type MsgHdrs } from "@nats-io/transport-node";
import type { Arm, CallerRole, Setup } from "../harness/arm.js";
import { CountedInbox } from "./counted-inbox.js";
import { startQueueMember } from "./queue-member.js";

/**
 * Starts the caller.
 *
 * @param headers put on every job
 */
export async function startBareCaller({ group, servers }: Setup, headers?: MsgHdrs): Promise<CallerRole> {
  const nc = await connect({ servers: servers[0] as string });
  const inbox = new CountedInbox(nc);
  await nc.flush();
  return {
    encode: (text) => Buffer.from(text),
    decode: (answer) => Buffer.from(answer as Uint8Array).toString(),
    call: (payload, done) => {
      const reply = inbox.prefix + inbox.take((answer) => done(undefined, answer.data));
      nc.publish(group, payload as Uint8Array, headers === undefined ? { reply } : { reply, headers });
    },
    stop: () => nc.close(),
  };
}

export const arm: Arm = {
  startWorker: (setup) => startQueueMember(setup),
  startCaller: (setup) => startBareCaller(setup),
};
