/** What the streams of the durable lane hold. The library of JetStream is loaded here: no run has to wait for it. */
import "@nats-io/jetstream";
import { type BatchRecord, countedJobs, decodeBatch } from "../../../mesh/durable/batches/batch-record.js";
import { decodeLimits } from "../../../mesh/durable/limits/limit.js";
import { DurableNames } from "../../../mesh/durable/names.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import type { SimNetwork } from "../../../testing/nats/network.js";
import { headerOf, payloadText } from "../../../testing/nats/server/jetstream/message-text.js";
import {
  type OnStored,
  type StoredMessage,
  type StoredStream,
  trueTimeMs,
} from "../../../testing/nats/server/jetstream/stored-stream.js";
import type { Fact, History } from "../history.js";
import { POOL } from "../plan.js";
import { PER_FOLLOWER } from "./handler.js";

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

/** Records what the streams store: jobs, outcomes, limits, and who has leave by them. */
export function watchStreams(history: History): OnStored {
  const records = new Map<string, ReadonlySet<number>>();
  return (stream, message) => {
    const id = names.idOf(message.subject);
    if (stream === names.jobsStream(POOL)) history.record(storedJob(id, message));
    else if (stream === names.outcomesStream) {
      const ok = headerOf({ ...message, reply: "" }, HEADER.reply) === "result";
      history.record({ kind: "stored-outcome", id, ok });
    } else if (stream === names.limitsStream && id === names.limitsToken) {
      const limits = [...decodeLimits(payloadOf(message)).values()];
      history.record({ kind: "limits", limits });
    } else if (stream === names.limitsStream) {
      const after = leavesOf(message);
      const before = records.get(id) ?? new Set();
      records.set(id, after);
      history.record({ kind: "record", token: id, leaves: [...after].filter((sequence) => !before.has(sequence)) });
    }
  };
}

function storedJob(id: string, message: StoredMessage): Fact {
  const { number, place = 0 } = JSON.parse(payloadText({ ...message, reply: "" })) as Record<string, number>;
  return { kind: "stored-job", id, sequence: message.sequence, number: (number ?? 0) + place * PER_FOLLOWER };
}

/** The jobs that have leave by a record, or had it lately: its sequences, with or without the number of their delivery. */
function leavesOf(message: StoredMessage): ReadonlySet<number> {
  type Leaves = readonly (number | readonly [number, number])[];
  const { running = [], given = {} } = JSON.parse(payloadText({ ...message, reply: "" })) as {
    readonly running?: Leaves;
    readonly given?: Readonly<Record<string, Leaves>>;
  };
  const all = [...running, ...Object.values(given).flat()];
  return new Set(all.map((each) => (typeof each === "number" ? each : each[0])));
}

function payloadOf({ bytes, headerBytes }: StoredMessage): Uint8Array {
  return bytes.subarray(headerBytes);
}

function find(network: SimNetwork, name: string): StoredStream | undefined {
  return network.storedStreams().find((each) => each.name === name);
}
