/** What the streams of the durable lane hold. The library of JetStream is loaded here: no run has to wait for it. */
import "@nats-io/jetstream";
import { type BatchRecord, countedJobs, decodeBatch } from "../../../mesh/durable/batches/batch-record.js";
import { DurableNames } from "../../../mesh/durable/names.js";
import type { SimNetwork } from "../../../testing/nats/network.js";
import { type StoredStream, trueTimeMs } from "../../../testing/nats/server/jetstream/stored-stream.js";
import type { Fact } from "../history.js";
import { POOL } from "../plan.js";

const names = new DurableNames();

/** Whether no job of the pool waits or runs, and no batch is about to be completed. */
export function hasNoLiveJobs(network: SimNetwork): boolean {
  const isFull = ({ fullAt, completedAt }: BatchRecord): boolean => fullAt !== undefined && completedAt === undefined;
  return (find(network, names.jobsStream(POOL))?.size ?? 0) === 0 && !batchesOf(network).some(isFull);
}

function batchesOf(network: SimNetwork): BatchRecord[] {
  const stored = [...(find(network, names.batchesStream)?.all() ?? [])];
  return stored.flatMap(({ bytes, headerBytes }) => decodeBatch(bytes.subarray(headerBytes)) ?? []);
}

/** The streams, as a fact. */
export function streamsOf(network: SimNetwork): Fact {
  const idsOf = (stream: StoredStream | undefined): string[] =>
    [...(stream?.all() ?? [])].map(({ subject }) => names.idOf(subject));
  const outcomes = find(network, names.outcomesStream);
  return {
    kind: "streams",
    live: idsOf(find(network, names.jobsStream(POOL))),
    outcomes: idsOf(outcomes),
    dead: idsOf(find(network, names.deadStream)),
    outcomesStored: outcomes?.lastSequence ?? 0,
    outcomesAtMs: [...(outcomes?.all() ?? [])].map(({ storedAt }) => trueTimeMs(storedAt)),
    batches: batchesOf(network).map((record) => ({
      id: record.id,
      isSealed: record.total !== undefined,
      isCompleted: record.completedAt !== undefined,
      counted: countedJobs(record),
    })),
  };
}

function find(network: SimNetwork, name: string): StoredStream | undefined {
  return network.storedStreams().find((each) => each.name === name);
}
