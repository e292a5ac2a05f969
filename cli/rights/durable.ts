/**
 * What the durable lane needs besides, by role. Pure.
 *
 * A worker needs nothing more: it does not know by which lane a job came.
 * Rights for named pools name the streams of these pools, and the streams that all
 * pools share. So who has them reads the outcomes and dead letters of other pools too,
 * and no stream outside of the mesh. Rights for all pools are for any stream of the
 * account, since a subject has no pattern within a name.
 */
import { DurableNames } from "../../mesh/durable/names.js";
import { QUEUE_MANAGERS } from "../../mesh/wire/subjects.js";
import type { Right, RightSet, Role } from "./right.js";

/** Which streams, by what they hold. Each is a name, or `*` for any. */
interface Streams {
  readonly jobs: readonly string[];
  /** Jobs that wait for their time. */
  readonly later: readonly string[];
  readonly outcomes: readonly string[];
  readonly dead: readonly string[];
  readonly claims: readonly string[];
  /** Limits, and who has leave to run by them. */
  readonly limits: readonly string[];
  readonly batches: readonly string[];
  readonly all: readonly string[];
}

type Added = Pick<RightSet, "publish" | "subscribe">;

const NOTHING: Added = { publish: [], subscribe: [] };

/**
 * What is added to a role's set.
 *
 * @param roots the first tokens of the subjects of each pool, such as "pool.adder"
 * @param pools undefined for all
 */
export function durableRights(
  role: Role,
  roots: readonly string[],
  name: string,
  prefix: string,
  pools: readonly string[] | undefined,
): Added {
  const streams = streamsOf(prefix, pools);
  switch (role) {
    case "client":
      return clientRights(roots, streams);
    case "operator": {
      const { publish, subscribe } = clientRights(roots, streams);
      return { publish: [...publish, ...lanePublish(roots, streams), ...operatorPublish(streams)], subscribe };
    }
    case "manager":
      return { publish: managerPublish(roots, name, streams), subscribe: managerSubscribe(roots, name, streams) };
    case "meter":
      return { publish: meterPublish(roots, streams, pools), subscribe: [] };
    case "worker":
      return NOTHING;
  }
}

function clientRights(roots: readonly string[], streams: Streams): Added {
  return {
    publish: [
      ...roots.flatMap((root) => [
        right(`${root}.durable.*.*`, "durable jobs, to their stream"),
        right(`${root}.enqueue`, "durable jobs, through a manager"),
        right(`${root}.lookup`, "who holds a job"),
        right(`${root}.batch`, "batches, through a manager"),
        right(`${root}.discard`, "cancels of stored jobs"),
      ]),
      ...reads([...streams.jobs, ...streams.outcomes]),
      ...laterReads(streams.later),
    ],
    subscribe: roots.map((root) => right(`${root}.ended.*`, "outcomes, as they are stored")),
  };
}

function lanePublish(roots: readonly string[], { jobs, limits }: Streams): Right[] {
  return [
    ...limitReads(limits),
    ...roots.flatMap((root) => [
      right(`${root}.lane`, "pauses of a lane, through a manager"),
      right(`${root}.cron`, "cron schedules, through a manager"),
      right(`${root}.limits`, "limits, through a manager"),
    ]),
    ...each(jobs, (stream) => right(`$JS.API.CONSUMER.PAUSE.${stream}.*`, "pauses of a lane")),
  ];
}

function operatorPublish({ all, dead, jobs }: Streams): Right[] {
  return [
    ...reads(dead[0] === "*" ? [] : dead),
    ...each(all, (stream) => right(`$JS.API.STREAM.INFO.${stream}`, "how full streams are")),
    ...each(jobs, (stream) => right(`$JS.API.CONSUMER.INFO.${stream}.*`, "how many jobs wait")),
    ...each(dead, (stream) =>
      right(`$JS.API.STREAM.MSG.DELETE.${stream}`, "a dead letter that is run again or purged"),
    ),
  ];
}

function meterPublish(roots: readonly string[], streams: Streams, pools: readonly string[] | undefined): Right[] {
  return [
    ...roots.map((root) => right(`${root}.durable.*.*`, "dead letters that are run again")),
    ...(pools === undefined ? [right("$JS.API.STREAM.NAMES", "which pools have a lane")] : []),
    ...reads([...streams.jobs, ...streams.outcomes]),
    ...laterReads(streams.later),
    ...each(streams.batches, (stream) => right(`$JS.API.STREAM.MSG.GET.${stream}`, "how batches stand")),
    ...operatorPublish(streams),
  ];
}

function managerPublish(
  roots: readonly string[],
  manager: string,
  { all, jobs, later, dead, claims, limits }: Streams,
): Right[] {
  const pulled = [...jobs, ...later];
  return [
    ...roots.flatMap((root) => [
      right(`${root}.held.${manager}`, "which jobs it holds"),
      right(`${root}.lookup`, "who holds a job, for callers over HTTP"),
      right(`${root}.lookup.*`, "whether another manager is there"),
      right(`${root}.discard`, "cancels of stored jobs, for callers over HTTP"),
      right(`${root}.durable.*.*`, "jobs that it was asked to store"),
      right(`${root}.later.*`, "jobs that wait for their time"),
      right(`${root}.cron.*`, "cron schedules"),
      right(`${root}.outcome.*`, "outcomes, to their stream"),
      right(`${root}.dead.*`, "dead letters"),
      right(`${root}.claim.*`, "that a job which may run once begins"),
      right(`${root}.batch.*`, "batches, and how their jobs ended"),
      right(`${root}.limits.*`, "limits, and which jobs have leave to run by them"),
    ]),
    ...each(pulled, (stream) => acks(stream)),
    ...each(pulled, (stream) => right(`$JS.API.CONSUMER.MSG.NEXT.${stream}.*`, "stored jobs")),
    ...each(jobs, (stream) => right(`$JS.API.CONSUMER.PAUSE.${stream}.*`, "pauses that it is asked for")),
    ...each(pulled, (stream) => right(`$JS.API.CONSUMER.INFO.${stream}.*`, "whether consumers are there")),
    ...each(pulled, (stream) => right(`$JS.API.CONSUMER.CREATE.${stream}.>`, CREATE)),
    ...each(pulled, (stream) => right(`$JS.API.CONSUMER.DURABLE.CREATE.${stream}.*`, CREATE)),
    ...each(pulled, (stream) =>
      right(`$JS.API.CONSUMER.DELETE.${stream}.*`, "a consumer that is newer than its stream after a power loss"),
    ),
    ...each(all, (stream) => right(`$JS.API.STREAM.INFO.${stream}`, "whether streams are there")),
    ...each(all, (stream) => right(`$JS.API.STREAM.CREATE.${stream}`, CREATE)),
    ...each([...dead, ...claims, ...limits, ...pulled], (stream) =>
      right(`$JS.API.STREAM.MSG.DELETE.${stream}`, "what is over"),
    ),
    ...laterReads(later),
    ...reads(all.filter((stream) => stream === "*" || !later.includes(stream))),
  ];
}

function managerSubscribe(roots: readonly string[], manager: string, { jobs }: Streams): Right[] {
  const advisories = "$JS.EVENT.ADVISORY.CONSUMER.PAUSE";
  const ofStreams = each(jobs, (stream) => right(`${advisories}.${stream}.*`, "that a lane is paused, or goes on"));
  const ofPools = roots.flatMap((root) => [
    right(`${root}.enqueue`, "jobs to store: each goes to one member of the group", QUEUE_MANAGERS),
    right(`${root}.discard`, "cancels of stored jobs", QUEUE_MANAGERS),
    right(`${root}.lane`, "pauses of a lane", QUEUE_MANAGERS),
    right(`${root}.cron`, "cron schedules to set and remove", QUEUE_MANAGERS),
    right(`${root}.batch`, "batches to open and seal", QUEUE_MANAGERS),
    right(`${root}.limits`, "limits to set and remove", QUEUE_MANAGERS),
    right(`${root}.limited.*`, "limits, and who has leave, as they are stored"),
    right(`${root}.lookup`, "who holds a job"),
    right(`${root}.lookup.${manager}`, "whether it is there"),
    right(`${root}.held.*`, "which jobs other managers hold"),
    right(`${root}.ended.*`, "outcomes, as they are stored, for callers over HTTP that wait"),
  ]);
  return [...ofPools, ...ofStreams];
}

/** Not needed any more once the streams are there. */
const CREATE = "the lane's streams and consumers, until they are there";

/** The last message of a subject: from any copy of the stream, or from its leader. */
function reads(streams: readonly string[]): Right[] {
  return each(streams, (stream) => [
    right(`$JS.API.DIRECT.GET.${stream === "*" ? ">" : stream}`, "what a stream has"),
    ...(stream === "*" ? [] : [right(`$JS.API.DIRECT.GET.${stream}.>`, "what a stream has, by subject")]),
    right(`$JS.API.STREAM.MSG.GET.${stream}`, "the same, from the stream's leader"),
  ]);
}

/** What waits for its time is read from the stream's leader only: what an operator of a broker grants has to fit into a token. */
function laterReads(later: readonly string[]): Right[] {
  return each(later, (stream) => right(`$JS.API.STREAM.MSG.GET.${stream}`, "what waits for its time"));
}

function limitReads(limits: readonly string[]): Right[] {
  return each(limits, (stream) => right(`$JS.API.STREAM.MSG.GET.${stream}`, "which limits there are"));
}

/** An acknowledgement's subject names the stream, in newer brokers after two tokens more. */
function acks(stream: string): Right[] {
  const why = "that a stored job is over, or still runs";
  if (stream === "*") return [right("$JS.ACK.>", why)];
  return [right(`$JS.ACK.${stream}.>`, why), right(`$JS.ACK.*.*.${stream}.>`, why)];
}

function streamsOf(prefix: string, pools: readonly string[] | undefined): Streams {
  if (pools === undefined)
    return {
      jobs: ["*"],
      later: ["*"],
      outcomes: ["*"],
      dead: ["*"],
      claims: ["*"],
      limits: ["*"],
      batches: ["*"],
      all: ["*"],
    };
  const names = new DurableNames(prefix);
  const jobs = pools.map((pool) => names.jobsStream(pool));
  const later = pools.map((pool) => names.laterStream(pool));
  const shared = {
    outcomes: [names.outcomesStream],
    dead: [names.deadStream],
    claims: [names.claimsStream],
    limits: [names.limitsStream],
    batches: [names.batchesStream],
  };
  return { jobs, later, ...shared, all: [...jobs, ...later, ...Object.values(shared).flat()] };
}

/** One right or more for each stream, each stream once. */
function each(streams: readonly string[], make: (stream: string) => Right | readonly Right[]): Right[] {
  return [...new Set(streams)].flatMap(make);
}

function right(subject: string, why: string, queue?: string): Right {
  return { subject, why, ...(queue === undefined ? {} : { queue }) };
}
