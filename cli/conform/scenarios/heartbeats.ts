/** Scenarios: what heartbeats say, and when they leave. */
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { intervalMs } from "../../../mesh/wire/liveness-rules.js";
import type { HeardBeat } from "../hearing.js";
import type { Kit } from "../kit.js";
import type { Scenario, ScenarioGroup } from "../scenario.js";
import { expect, Failed, NotTried } from "../verdict.js";

/** A heartbeat on change leaves within this, in milliseconds. */
const ON_CHANGE_MS = 400;
/** A gap of this many intervals, and a little, is a heartbeat too few. */
const LONGEST_GAP = 1.5;
const GAP_TOLERANCE_MS = 200;
/** A worker with a longer interval is not watched for its length, in milliseconds. */
const MAX_WATCHED_MS = 5_000;

const fields: Scenario = {
  name: "heartbeat-fields",
  level: "v0",
  sentence:
    "A heartbeat has `pool` and `worker` as in its subject, `incarnation`, `seq`, `state`, `slots` and `busy`, in protobuf or in protobuf's JSON.",
  async run(kit) {
    const bad = beats(kit).find(({ garbage }) => garbage !== undefined && garbage !== "state");
    expect(bad === undefined, `a heartbeat is dropped by its readers: ${bad?.garbage}`);
    expect((kit.hearing.last(kit.target.worker)?.slots ?? 0) > 0, "a READY worker has no slots");
  },
};

const order: Scenario = {
  name: "heartbeat-order",
  level: "v0",
  sentence: "`seq` rises with every heartbeat, and `incarnation` stays the same as long as the process lives.",
  async run(kit) {
    const heard = beats(kit).flatMap(({ beat }) => (beat === undefined ? [] : [beat]));
    for (const [i, beat] of heard.entries()) {
      const before = heard[i - 1];
      if (before === undefined) continue;
      expect(beat.incarnation === before.incarnation, `incarnation ${before.incarnation}, then ${beat.incarnation}`);
      expect(beat.seq > before.seq, `seq ${before.seq}, then ${beat.seq}`);
    }
  },
};

const stateNames: Scenario = {
  name: "state-names",
  level: "v0",
  sentence:
    "`state` is `WORKER_STATE_STARTING`, `WORKER_STATE_READY`, `WORKER_STATE_PAUSED`, `WORKER_STATE_DRAINING` or `WORKER_STATE_STOPPED`; LOST is a judgement of readers.",
  async run(kit) {
    const bad = beats(kit).find(({ garbage }) => garbage === "state");
    expect(bad === undefined, "a heartbeat says another state");
    const last = kit.hearing.last(kit.target.worker)?.state ?? 0;
    expect(last === WorkerState.READY, `a worker that takes jobs says ${WorkerState[last]}`);
  },
};

const interval: Scenario = {
  name: "heartbeat-interval",
  level: "v0",
  sentence:
    "A heartbeat leaves at least every `heartbeat_interval_ms`; a worker that does not say its interval has one second.",
  async run(kit) {
    const saidMs = kit.hearing.last(kit.target.worker)?.heartbeatIntervalMs ?? 0;
    const everyMs = intervalMs(saidMs);
    if (everyMs > MAX_WATCHED_MS)
      throw new NotTried(`its interval is ${everyMs} ms; at most ${MAX_WATCHED_MS} are watched`);
    const allowedMs = LONGEST_GAP * everyMs + GAP_TOLERANCE_MS;
    await kit.quiet();
    const fromMs = kit.now();
    // For two gaps: one heartbeat in the middle does not hide that the others are missing.
    await kit.hearing.until(() => undefined, 2 * allowedMs);
    const heard = beats(kit).filter(({ atMs }) => atMs >= fromMs);
    const times = [fromMs, ...heard.map(({ atMs }) => atMs), kit.now()];
    const longestMs = Math.max(...times.slice(1).map((atMs, i) => atMs - (times[i] ?? atMs)));
    const found = `${Math.round(longestMs)} ms without a heartbeat; the interval is ${everyMs} ms`;
    expect(longestMs < allowedMs, found);
  },
};

const onChange: Scenario = {
  name: "heartbeat-on-change",
  level: "v1",
  sentence: "A heartbeat leaves on every change too, also when `busy` changes.",
  async run(kit) {
    const fromMs = kit.now();
    const sent = await kit.start();
    const taken = await kit.beat(({ beat }) => (beat?.busy ?? 0) > 0, ON_CHANGE_MS, fromMs);
    expect(taken !== undefined, `no heartbeat said busy 1 within ${ON_CHANGE_MS} ms of a job's start`);
    await sent.outcome(kit.slowLimitMs);
    const freed = await kit.beat(({ beat }) => beat?.busy === 0, ON_CHANGE_MS, taken.atMs);
    expect(freed !== undefined, `no heartbeat said busy 0 within ${ON_CHANGE_MS} ms of a job's end`);
  },
};

const runningJobs: Scenario = {
  name: "running-jobs",
  level: "v1",
  sentence: "A worker that lists `running_jobs` lists the id of every running job, or says `running_truncated`.",
  async run(kit) {
    const { id } = await kit.start();
    await listed(kit, id);
  },
};

const runningNonces: Scenario = {
  name: "running-nonces",
  level: "v2",
  sentence: "`running_nonces` has the nonce of each listed job, or an empty text for a job without one.",
  async run(kit) {
    const nonce = kit.newId();
    const { id } = await kit.start({ nonce });
    const { beat } = await listed(kit, id);
    const said = beat?.runningNonces[beat.runningJobs.indexOf(id)] ?? "";
    expect(said === nonce, said === "" ? "the nonce of a running job is missing" : "a running job has another nonce");
  },
};

/** The heartbeat that lists a running job. @throws NotTried when the worker lists none */
async function listed(kit: Kit, id: string): Promise<HeardBeat> {
  const heard = await kit.beat(({ beat }) => beat?.runningJobs.includes(id) === true, ON_CHANGE_MS, 0);
  if (heard !== undefined) return heard;
  const hasListed = beats(kit).some(({ beat }) => (beat?.runningJobs.length ?? 0) > 0);
  if (!hasListed) throw new NotTried("the worker lists no running jobs, which is allowed");
  const isTruncated = kit.hearing.last(kit.target.worker)?.runningTruncated === true;
  if (isTruncated) throw new NotTried("the worker's list is truncated");
  throw new Failed("a running job is not in the list");
}

function beats(kit: Kit): readonly HeardBeat[] {
  return kit.hearing.of(kit.target.worker);
}

export const HEARTBEATS: ScenarioGroup = {
  title: "Heartbeats",
  scenarios: [fields, interval, order, stateNames, onChange, runningJobs, runningNonces],
};
