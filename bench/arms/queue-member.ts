/** A plain member of a NATS queue group: echoes at once, or runs timed jobs one after another. */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { Setup, WorkerRole } from "../harness/arm.js";
import { TimedWork } from "../harness/timed-work.js";

const QUEUE = "workers";

/** Starts one. */
export async function startQueueMember({ group, servers, index, work }: Setup): Promise<WorkerRole> {
  const nc = await connect({ servers: servers[index % servers.length] as string });
  const timed = new TimedWork();
  if (work === "timed") void serveInTurn(nc, group, timed);
  else nc.subscribe(group, { queue: QUEUE, callback: (_error, msg) => void msg.respond(msg.data) });
  await nc.flush();
  return { runs: timed.runs, stop: () => nc.close() };
}

async function serveInTurn(nc: NatsConnection, subject: string, timed: TimedWork): Promise<void> {
  for await (const msg of nc.subscribe(subject, { queue: QUEUE })) msg.respond(await timed.run(msg.string()));
}
