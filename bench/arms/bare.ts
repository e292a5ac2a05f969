/**
 * The limit: the same NATS client with nothing around it. One wildcard inbox,
 * a callback for each call, no timeout, no header, no promise; a lost job would
 * never be noticed.
 */
import { connect, createInbox, type MsgHdrs } from "@nats-io/transport-node";
import type { Arm, CallerRole, Done, Setup } from "../harness/arm.js";
import { startQueueMember } from "./queue-member.js";

/**
 * Starts the caller.
 *
 * @param headers put on every job
 */
export async function startBareCaller({ group, servers }: Setup, headers?: MsgHdrs): Promise<CallerRole> {
  const nc = await connect({ servers: servers[0] as string });
  const prefix = `${createInbox()}.`;
  const waiting = new Map<string, Done>();
  let counter = 0;
  nc.subscribe(`${prefix}*`, {
    callback: (_error, msg) => {
      const token = msg.subject.slice(prefix.length);
      const done = waiting.get(token);
      waiting.delete(token);
      done?.(undefined, msg.data);
    },
  });
  await nc.flush();
  return {
    encode: (text) => Buffer.from(text),
    decode: (answer) => Buffer.from(answer as Uint8Array).toString(),
    call: (payload, done) => {
      counter += 1;
      const token = counter.toString(36);
      waiting.set(token, done);
      const reply = prefix + token;
      nc.publish(group, payload as Uint8Array, headers === undefined ? { reply } : { reply, headers });
    },
    stop: () => nc.close(),
  };
}

export const arm: Arm = {
  startWorker: (setup) => startQueueMember(setup),
  startCaller: (setup) => startBareCaller(setup),
};
