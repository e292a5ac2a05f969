/**
 * Workers that pull and acknowledge by themselves, with the least that a durable
 * queue needs on JetStream: a work queue with one live job an id, and, where
 * outcomes are kept, an outcome that is stored once before the job is acknowledged.
 *
 * No timeouts, no retries, no leases, no priorities, and every message by hand, several pulls open at once: the limit, and
 * the limit with outcomes. What a program does that uses the library of NATS is jetstream-library.ts.
 */
import { connect, createInbox, headers, type Msg, type NatsConnection } from "@nats-io/transport-node";
import type { Arm, CallerRole, Setup, WorkerRole } from "../../harness/arm.js";
import { CountedInbox } from "../counted-inbox.js";

const NANOS = 1e6;
/** Jobs of one pull, and pulls that are open at once. */
const BATCH = 512;
const PULLS = 4;
const EXPIRES_MS = 3_000;
const FENCE = "Nats-Expected-Last-Subject-Sequence";
const REPLY = "Reply";

/** @param keepsOutcomes whether each outcome is stored before its job is acknowledged */
export function jetStreamArm(keepsOutcomes: boolean): Arm {
  return {
    startWorker: (setup) => startWorker(setup, keepsOutcomes),
    startCaller: (setup) => startStoringCaller(setup, acknowledged),
  };
}

async function startWorker({ group, servers }: Setup, keepsOutcomes: boolean): Promise<WorkerRole> {
  const nc = await connect({ servers: servers[0] as string });
  await createStreams(nc, group);
  const publish = acknowledged(nc);
  const onJob = (job: Msg): void => {
    const end = (): void => {
      job.respond("+ACK");
      nc.publish(job.headers?.get(REPLY) ?? "", job.data);
    };
    if (!keepsOutcomes) return end();
    const fence = headers();
    fence.set(FENCE, "0");
    publish(`${group}.outcomes.${job.subject.slice(job.subject.lastIndexOf(".") + 1)}`, job.data, fence, end);
  };
  for (let i = 0; i < PULLS; i += 1) keepPulling(nc, group, onJob);
  await nc.flush();
  return { stop: () => nc.close() };
}

/** A caller that publishes each job to the stream, and hears its worker. @param publisher how jobs are published */
export async function startStoringCaller(
  { group, servers }: Setup,
  publisher: (nc: NatsConnection) => Publish,
): Promise<CallerRole> {
  const nc = await connect({ servers: servers[0] as string });
  const publish = publisher(nc);
  const inbox = new CountedInbox(nc);
  const ids = createInbox().slice("_INBOX.".length);
  await nc.flush();
  return {
    encode: (text) => Buffer.from(text),
    decode: (answer) => Buffer.from(answer as Uint8Array).toString(),
    call: (payload, done) => {
      const token = inbox.take((answer) => done(undefined, answer.data));
      const about = headers();
      about.set(REPLY, inbox.prefix + token);
      publish(`${group}.jobs.${ids}${token}`, payload as Uint8Array, about, () => undefined);
    },
    stop: () => nc.close(),
  };
}

/** Publishes one message to a stream; ends the process when the stream refuses it. */
export type Publish = (
  subject: string,
  payload: Uint8Array,
  about: ReturnType<typeof headers>,
  onStored: () => void,
) => void;

/** Publishes to streams by one inbox; ends the process when a stream refuses. */
function acknowledged(nc: NatsConnection): Publish {
  const inbox = new CountedInbox(nc);
  return (subject, payload, about, onStored) => {
    const token = inbox.take((answer) => {
      const { error } = JSON.parse(answer.string()) as { error?: object };
      if (error !== undefined) throw new Error(JSON.stringify(error));
      onStored();
    });
    nc.publish(subject, payload, { reply: inbox.prefix + token, headers: about });
  };
}

/** Keeps one pull open: the next one leaves when half of it has come, or when it is over. */
function keepPulling(nc: NatsConnection, group: string, onJob: (job: Msg) => void): void {
  const inbox = createInbox();
  let left = 0;
  const pull = (): void => {
    left += BATCH;
    const request = JSON.stringify({ batch: BATCH, expires: EXPIRES_MS * NANOS });
    nc.publish(`$JS.API.CONSUMER.MSG.NEXT.${group}-jobs.workers`, request, { reply: inbox });
  };
  nc.subscribe(inbox, {
    callback: (_error, msg) => {
      if (!msg.reply?.startsWith("$JS.ACK.")) {
        left = 0;
        return pull();
      }
      onJob(msg);
      left -= 1;
      if (left === BATCH / 2) pull();
    },
  });
  pull();
}

/** The work queue and the outcomes, as both kinds of own workers have them. */
export async function createStreams(nc: NatsConnection, group: string): Promise<void> {
  const ask = async (subject: string, content: object): Promise<void> => {
    const answer = (await nc.request(subject, JSON.stringify(content), { timeout: 30_000 })).json<{
      error?: { err_code: number };
    }>();
    if (answer.error !== undefined) throw new Error(JSON.stringify(answer.error));
  };
  const jobs = `${group}-jobs`;
  const outcomes = `${group}-outcomes`;
  const shared = { storage: "file", num_replicas: 1, max_msgs_per_subject: 1 };
  const work = { retention: "workqueue", discard: "new", discard_new_per_subject: true };
  await ask(`$JS.API.STREAM.CREATE.${jobs}`, { name: jobs, subjects: [`${group}.jobs.*`], ...shared, ...work });
  await ask(`$JS.API.STREAM.CREATE.${outcomes}`, {
    name: outcomes,
    subjects: [`${group}.outcomes.*`],
    retention: "limits",
    discard: "old",
    ...shared,
  });
  await ask(`$JS.API.CONSUMER.DURABLE.CREATE.${jobs}.workers`, {
    stream_name: jobs,
    config: { durable_name: "workers", ack_policy: "explicit", ack_wait: 30_000 * NANOS, max_ack_pending: 50_000 },
  });
}

export const arm = jetStreamArm(true);
