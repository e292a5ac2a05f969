/**
 * Workers that pull, store and acknowledge by themselves, as a program is written with the library of NATS:
 * `js.publish()`, `consumer.consume()`, `msg.ack()`. The streams are those of jetstream-workers.ts.
 *
 * No timeouts, no retries, no leases, no priorities.
 */
import { type JetStreamClient, type JsMsg, jetstream } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { Arm, Setup, WorkerRole } from "../../harness/arm.js";
import { createStreams, type Publish, startStoringCaller } from "./jetstream-workers.js";

const REPLY = "Reply";

export const arm: Arm = { startWorker, startCaller: (setup) => startStoringCaller(setup, byLibrary) };

async function startWorker({ group, servers, slots }: Setup): Promise<WorkerRole> {
  const nc = await connect({ servers: servers[0] as string });
  await createStreams(nc, group);
  const js = jetstream(nc);
  const consumer = await js.consumers.get(`${group}-jobs`, "workers");
  const jobs = await consumer.consume({ max_messages: slots });
  void (async () => {
    for await (const job of jobs) void run(nc, js, group, job);
  })();
  return { stop: () => nc.close() };
}

async function run(nc: NatsConnection, js: JetStreamClient, group: string, job: JsMsg): Promise<void> {
  const id = job.subject.slice(job.subject.lastIndexOf(".") + 1);
  await js.publish(`${group}.outcomes.${id}`, job.data, { expect: { lastSubjectSequence: 0 } });
  job.ack();
  nc.publish(job.headers?.get(REPLY) ?? "", job.data);
}

/** Publishes as the library does; a refusal ends the process. */
function byLibrary(nc: NatsConnection): Publish {
  const js = jetstream(nc);
  return (subject, payload, about, onStored) => void js.publish(subject, payload, { headers: about }).then(onStored);
}
