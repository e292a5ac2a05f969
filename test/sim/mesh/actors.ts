/**
 * The product's parts as actors of the simulator: the only file that knows their classes.
 *
 * Each actor is one incarnation of a process: it starts on a bus, may be asked to
 * leave (SIGTERM), and says at rest what is not clean.
 */
import { Client } from "../../../client/client.js";
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { toPoolError } from "../../../mesh/errors.js";
import { json } from "../../../mesh/job/codec.js";
import type { Outcome, Submitter } from "../../../mesh/job/job.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { delay } from "../../../mesh/link/runtime.js";
import { ServiceApi } from "../../../mesh/link/service-api.js";
import { newIncarnation } from "../../../mesh/process/identity.js";
import { SERVICE_NAMES } from "../../../mesh/wire/subjects.js";
import { Manager, toPoolSettings } from "../../../services/manager/manager.js";
import { Pools } from "../../../services/manager/pools.js";
import { Worker } from "../../../services/worker/worker.js";
import type { HeardOutcome } from "../history.js";
import { type JobPlan, POOL } from "../plan.js";
import type { Handle, RunResult, SimPayload } from "./handler.js";

/** How long a manager or worker may take to leave after SIGTERM, milliseconds. */
export const GRACE_MS = 2_000;
const VERSION = "0.0.0";

/** One incarnation of a part of the mesh. */
export interface Actor {
  /** Resolves when it is ready. */
  start(): Promise<void>;
  /** Resolves when it ends by itself, as a worker does that was drained; it would exit then. */
  readonly ended: Promise<unknown>;
  /** SIGTERM; resolves when it would exit. */
  leave(): Promise<void>;
  /** What is not as it is at rest; empty when all is clean. */
  unclean(): string[];
  /** What it waits for an answer to, such as "manager-1 has 1 inbox entries"; empty when there is nothing. */
  awaited(): string[];
}

/** An actor that submits. */
export interface CallerActor extends Actor {
  /** Submits; `onOutcome` hears the end exactly once if the product holds its promise. Returns the job's id, "" when refused. */
  submit(job: JobPlan, onOutcome: (heard: HeardOutcome) => void): string;
  /** Cancels a job; `onSettled` hears "" when that was heard, else why not. */
  cancel(id: string, onSettled: (reason: string) => void): void;
  /** Enqueues a job in the durable lane, and waits for its outcome. */
  enqueue?(job: JobPlan, hear: EnqueueEnds): void;
  /** Enqueues a batch, again and again until it is stored; `onEnd` hears why it is not. */
  enqueueBatch?(id: string, jobs: readonly JobPlan[], onEnd: (reason: string) => void): void;
}

/** What the caller of an enqueued job hears: at most one receipt, and one outcome after it. */
export interface EnqueueEnds {
  onReceipt(id: string): void;
  onRefused(reason: string, maybeStored: boolean): void;
  onEnd(heard: HeardOutcome): void;
}

/** A manager as a service, without its HTTP doors. */
export function makeManager(bus: Bus, id: string, durable = false): Actor {
  const pools = new Pools({
    bus,
    id,
    servesSubmit: true,
    settings: toPoolSettings({}),
    maxPools: 8,
    graceMs: GRACE_MS,
    durable,
  });
  const { runtime } = bus;
  const service = new ServiceApi({
    bus,
    name: SERVICE_NAMES.manager,
    id,
    version: VERSION,
    metadata: { incarnation: String(newIncarnation(runtime.wallNow(), runtime.random)) },
    endpoints: () => [],
  });
  return {
    ended: pools.closed,
    start: async () => {
      await pools.start();
      await service.start();
    },
    leave: async () => {
      await pools.stop();
      await service.stop();
      await bus.close();
    },
    unclean: () => uncleanPools(id, pools),
    awaited: () => (pools.inbox.size === 0 ? [] : [`${id} has ${pools.inbox.size} inbox entries`]),
  };
}

/** A worker with a simulated handler. */
export function makeWorker(bus: Bus, id: string, slots: number, handle: Handle): Actor {
  const worker = new Worker<SimPayload | RunResult, RunResult>({
    pool: POOL,
    id,
    slots,
    graceMs: GRACE_MS,
    run: handle,
  });
  worker.useBus(bus);
  return {
    ended: worker.closed,
    start: () => worker.start(),
    leave: async () => {
      await worker.stop();
      await bus.close();
    },
    unclean: () => (worker.busy === 0 ? [] : [`${id} has ${worker.busy} busy slots`]),
    awaited: () => [],
  };
}

/** A program with the light client. */
export function makeClient(bus: Bus): CallerActor {
  const client = new Client({ pool: POOL, connection: bus });
  const enqueue = (job: JobPlan, hear: EnqueueEnds): void => void enqueueJob(client, job, hear);
  const batch: CallerActor["enqueueBatch"] = (id, jobs, onEnd) => void enqueueBatch(client, bus, id, jobs).then(onEnd);
  return { ...caller(bus, client, () => []), enqueue, enqueueBatch: batch };
}

/** How often a batch is said again, and the wait before that, milliseconds. */
const BATCH_TRIES = 30;
const BATCH_RETRY_MS = 1_000;

/** @returns "" once it is stored; else why it is not */
async function enqueueBatch(client: Client, bus: Bus, id: string, jobs: readonly JobPlan[]): Promise<string> {
  let reason = "";
  for (let tries = 0; tries < BATCH_TRIES; tries += 1) {
    try {
      const options = { id, onComplete: { pool: POOL }, maxAttempts: 2, timeoutMs: 10_000 };
      await client.enqueueBatch(jobs.map(payloadOf), options);
      return "";
    } catch (thrown) {
      reason = toPoolError(thrown).reason;
    }
    await delay(bus.runtime, BATCH_RETRY_MS);
  }
  return reason;
}

async function enqueueJob(client: Client, job: JobPlan, hear: EnqueueEnds): Promise<void> {
  const { wait: _wait, ...options } = optionsOf(job);
  const { maxAttempts, key, follows = 0 } = job;
  let id = "";
  try {
    const receipt = await client.enqueue(payloadOf(job), {
      ...options,
      ...(maxAttempts === undefined ? {} : { maxAttempts }),
      ...(key === undefined ? {} : { concurrencyKey: key }),
      ...(follows === 0 ? {} : { then: Array.from({ length: follows }, () => ({ pool: POOL })) }),
    });
    id = receipt.id;
    hear.onReceipt(id);
    hear.onEnd(heardOf({ ok: true, id, result: await receipt.result() }));
  } catch (thrown) {
    const error = toPoolError(thrown);
    if (id === "") hear.onRefused(error.reason, error.maybeExecuted);
    else hear.onEnd(heardOf({ ok: false, id, error, worker: "", attempt: 0 }));
  }
}

/** A program with a manager of its own. */
export function makeEmbedded(bus: Bus, id: string): CallerActor {
  const manager = new Manager({ pool: POOL, connection: bus, id, graceMs: GRACE_MS });
  const unclean = (): string[] => {
    const { parked } = manager.capacity;
    return parked === 0 ? [] : [`${id} has ${parked} jobs parked`];
  };
  return caller(bus, manager, unclean);
}

function caller(
  bus: Bus,
  submitter: Submitter & { start(): Promise<void>; stop(): Promise<void>; readonly closed: Promise<unknown> },
  unclean: () => string[],
): CallerActor {
  return {
    ended: submitter.closed,
    start: () => submitter.start(),
    leave: async () => {
      await submitter.stop();
      await bus.close();
    },
    unclean,
    awaited: () => [],
    submit: (job, onOutcome) => {
      try {
        return submitter.detachSubmit(payloadOf(job), {
          ...optionsOf(job),
          onOutcome: (outcome) => onOutcome(heardOf(outcome)),
        });
      } catch (thrown) {
        onOutcome(heardOf({ ok: false, id: job.id ?? "", error: toPoolError(thrown), worker: "", attempt: 0 }));
        return "";
      }
    },
    cancel: (id, onSettled) =>
      void submitter.cancel(id).then(
        () => onSettled(""),
        (thrown) => onSettled(toPoolError(thrown).reason),
      ),
  };
}

function payloadOf(job: JobPlan): Uint8Array {
  const { number, durationMs, blockMs = 0, throws = false, padBytes = 0 } = job;
  const payload: SimPayload = { number, durationMs, blockMs, throws, pad: "x".repeat(padBytes) };
  return json.encode(payload);
}

function optionsOf({ id, timeoutMs, idempotent, priority, wait }: JobPlan) {
  return {
    timeoutMs,
    ...(id === undefined ? {} : { id }),
    ...(idempotent === undefined ? {} : { idempotent }),
    ...(priority === undefined ? {} : { priority }),
    ...(wait === undefined ? {} : { wait }),
  };
}

function heardOf(outcome: Outcome): HeardOutcome {
  if (!outcome.ok) {
    const { reason, message } = outcome.error;
    return { ok: false, id: outcome.id, reason, message, worker: outcome.worker, attempt: outcome.attempt };
  }
  const { worker, attempt, payload } = outcome.result;
  return { ok: true, id: outcome.id, reason: "", message: "", worker, attempt, ran: ranOf(payload) };
}

/** What a result says of the run that made it; undefined when no simulated handler made it. */
function ranOf(payload: Uint8Array): HeardOutcome["ran"] {
  try {
    const said = json.decode(payload) as Partial<RunResult>;
    if (typeof said.number === "number" && typeof said.run === "number") return { number: said.number, run: said.run };
  } catch {
    // it is no JSON: no handler of ours made it
  }
  return undefined;
}

function uncleanPools(id: string, pools: Pools): string[] {
  const found: string[] = [];
  const complain = (count: number, what: string): void => {
    if (count !== 0) found.push(`${id} has ${count} ${what}`);
  };
  for (const pool of pools.known()) {
    complain(pool.dispatcher.liveJobs, "live jobs");
    complain(pool.dispatcher.parked.size, "jobs parked");
    complain(pool.dispatcher.inFlight.offers, "offers out");
    for (const worker of pool.workers.all()) {
      const wanted = worker.state === WorkerState.READY ? worker.slots : 0;
      if (worker.free !== wanted)
        found.push(`${id} counts ${worker.free} instead of ${wanted} slots free at ${worker.id}`);
    }
  }
  return found;
}
