/** A plain member of a NATS queue group: echoes at once, or runs timed jobs one after another. */
import { connect, type MsgHdrs, type NatsConnection } from "@nats-io/transport-node";
import type { Setup, WorkerRole } from "../harness/arm.js";
import { TimedWork } from "../harness/loops/timed-work.js";

const QUEUE = "workers";

/**
 * Starts one.
 *
 * @param headers put on every answer of an echo
 */
export async function startQueueMember(setup: Setup, headers?: MsgHdrs): Promise<WorkerRole> {
  const { group, servers, index, work } = setup;
  const nc = await connect({ servers: servers[index % servers.length] as string });
  const timed = new TimedWork();
  const options = headers === undefined ? {} : { headers };
  if (work === "timed") void serveInTurn(nc, group, timed);
  else nc.subscribe(group, { queue: QUEUE, callback: (_error, msg) => void msg.respond(msg.data, options) });
  await nc.flush();
  return { runs: timed.runs, stop: () => nc.close() };
}

async function serveInTurn(nc: NatsConnection, subject: string, timed: TimedWork): Promise<void> {
  for await (const msg of nc.subscribe(subject, { queue: QUEUE })) msg.respond(await timed.run(msg.string()));
}
