/**
 * BullMQ on Redis: add a job and wait for its result through QueueEvents, one by
 * one or with addBulk. Finished jobs are removed but for the last ones, as its
 * documentation advises; that many are kept so that a wait finds its own.
 */
import { type Job, Queue, QueueEvents, Worker } from "bullmq";
import type { Arm, CallerRole, Setup, WorkerRole } from "../harness/arm.js";
import { TimedWork } from "../harness/loops/timed-work.js";

const NAME = "job";
const KEPT = 5_000;
/** Its documentation's range for jobs that do not compute is 100 to 300. */
const MAX_CONCURRENCY = 300;

/**
 * By default events count from the moment the first read arrives at Redis; a
 * job that ends just before it would be waited for in vain.
 */
const FROM_THE_START = "0-0";

async function startWorker({ group, redisPort, slots, work }: Setup): Promise<WorkerRole> {
  const timed = new TimedWork();
  const run = async (job: Job<string, string>): Promise<string> => (work === "echo" ? job.data : timed.run(job.data));
  const worker = new Worker<string, string>(group, run, {
    connection: toConnection(redisPort),
    concurrency: Math.min(slots, MAX_CONCURRENCY),
    removeOnComplete: { count: KEPT },
  });
  await worker.waitUntilReady();
  return { runs: timed.runs, stop: () => worker.close() };
}

async function startCaller({ group, redisPort }: Setup): Promise<CallerRole> {
  const connection = toConnection(redisPort);
  const queue = new Queue<string, string>(group, { connection });
  const events = new QueueEvents(group, { connection, lastEventId: FROM_THE_START });
  events.setMaxListeners(0);
  queue.setMaxListeners(0);
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);
  return {
    encode: (text) => text,
    decode: String,
    call: (payload, done) => {
      queue
        .add(NAME, payload as string)
        .then((job) => job.waitUntilFinished(events))
        .then(
          (answer) => done(undefined, answer),
          (error: Error) => done(error, undefined),
        );
    },
    callMany: (payloads, done) => {
      queue.addBulk(payloads.map((data) => ({ name: NAME, data: data as string }))).then(
        (jobs) => {
          for (const job of jobs) {
            job.waitUntilFinished(events).then(
              (answer) => done(undefined, answer),
              (error: Error) => done(error, undefined),
            );
          }
        },
        (error: Error) => {
          for (const _payload of payloads) done(error, undefined);
        },
      );
    },
    stop: async () => {
      await Promise.all([events.close(), queue.close()]);
    },
  };
}

function toConnection(port: number) {
  return { host: "127.0.0.1", port, maxRetriesPerRequest: null };
}

export const arm: Arm = { startWorker, startCaller };
