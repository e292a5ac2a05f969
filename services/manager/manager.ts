/**
 * The manager of one pool, to embed in a program: jobs in, results out.
 *
 * Decided here: the public verbs and their defaults. Dispatch is in
 * dispatcher.ts; the same engine serves every pool in service.ts.
 */

import { PoolError } from "../../mesh/errors.js";
import type {
  IndexedOutcome,
  JobResult,
  Outcome,
  Payload,
  SubmitManyOptions,
  SubmitOptions,
  Submitter,
} from "../../mesh/job/job.js";
import { DEFAULT_TIMEOUT_MS, toBytes } from "../../mesh/job/job.js";
import { type PoolDefinition, poolName } from "../../mesh/job/pool-definition.js";
import { type PayloadStarter, submitMany } from "../../mesh/job/submit-many.js";
import { TypedPool } from "../../mesh/job/typed-pool.js";
import { askCancel } from "../../mesh/link/ask-cancel.js";
import { Bus } from "../../mesh/link/bus.js";
import { type PartOptions, type PoolOption, toPartOptions } from "../../mesh/link/part-options.js";
import { Lifecycle } from "../../mesh/process/lifecycle.js";
import type { PoolMember } from "../../mesh/process/member.js";
import { type Telemetry, telemetry } from "../../mesh/trace/telemetry.js";
import { tracedSubmit } from "../../mesh/trace/traced-submit.js";
import { checkName } from "../../mesh/wire/subjects.js";
import { DEFAULT_HISTORY } from "./jobs/history.js";
import { AwayJobs } from "./owners/away-jobs.js";
import type { Pool } from "./pool/pool.js";
import type { ManagerHooks, PoolSettings } from "./pool/pool-settings.js";
import { newManagerId, Pools } from "./pools.js";

export type { ManagerHooks } from "./pool/pool-settings.js";

/** How a manager is made. */
export interface ManagerOptions extends PartOptions, EngineOptions {
  /** @deprecated say `connection` */
  bus?: Bus;
  /** This manager's id; default made for you. */
  id?: string;
  /** How long close() waits for live jobs, in milliseconds; default 10,000. */
  graceMs?: number;
  /** Also run the jobs that are enqueued, from streams of the broker's JetStream; default false. */
  durable?: boolean;
}

/** How the jobs of a pool are held and given out; the same for every kind of manager. */
export interface EngineOptions {
  /** Deadline of a job that names none, in milliseconds from submit; default 30,000. */
  timeoutMs?: number;
  /** Time to accept an offer before it is made again, in milliseconds; default 250, never less than four round trips. */
  acceptTimeoutMs?: number;
  /** Jobs held for a free slot; default 10,000. */
  parkedLimit?: number;
  /** Payload bytes of jobs held; default 256 MiB. */
  parkedBytesLimit?: number;
  /** The part of both that one client may hold, over 0, at most 1; default 1. */
  clientShare?: number;
  /** The pool has workers that send no heartbeats: no accept timeout; default false. */
  bare?: boolean;
  /** Workers known at once; default 20,000. */
  maxWorkers?: number;
  /** Ended jobs that are remembered for each pool: so many with a result, and as many without; default 500, 0 to 100,000. */
  jobHistory?: number;
  /** Show the beginnings of payloads and results to who may read any outcome; default false. */
  showPayloads?: boolean;
  /** Tell what happens to jobs on `pool.P.event.*` although nobody asks for it; default false. */
  jobEvents?: boolean;
  /** They tell of the jobs that this manager runs; an id that you choose may belong to another one. */
  hooks?: ManagerHooks;
}

/** The settings that every kind of manager shares, with their defaults. */
export function toPoolSettings(options: EngineOptions): PoolSettings {
  return {
    limits: {
      jobs: options.parkedLimit ?? 10_000,
      bytes: options.parkedBytesLimit ?? 256 * 2 ** 20,
      clientShare: options.clientShare ?? 1,
    },
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    acceptTimeoutMs: options.acceptTimeoutMs ?? 250,
    bare: options.bare ?? false,
    maxWorkers: options.maxWorkers ?? 20_000,
    history: { jobs: options.jobHistory ?? DEFAULT_HISTORY, payloads: options.showPayloads ?? false },
    jobEvents: options.jobEvents ?? false,
    hooks: options.hooks ?? {},
  };
}

/** A manager of one pool. */
export class Manager extends Lifecycle implements Submitter {
  readonly pool: string;
  readonly #options: ManagerOptions & PoolOption;
  readonly #members: PoolMember[] = [];
  #bus: Bus | undefined;
  #pools: Pools | undefined;
  #engine: Pool | undefined;
  #away: AwayJobs | undefined;
  #telemetry: Telemetry | undefined;

  /**
   * Connects and is ready to take jobs.
   *
   * @throws PoolError `invalid_argument`, `bus_unavailable` when there is no broker (unless waitOnFirstConnect), `unauthenticated`
   */
  static connect(options: ManagerOptions & PoolOption): Promise<Manager>;
  /** @deprecated say `Manager.connect({ pool, ...options })` */
  static connect(pool: string, options?: ManagerOptions): Promise<Manager>;
  static async connect(first: (ManagerOptions & PoolOption) | string, rest?: ManagerOptions): Promise<Manager> {
    const manager = new Manager(toPartOptions("Manager.connect", first, rest));
    await manager.start();
    return manager;
  }

  /** Connects at start(). @throws PoolError `invalid_argument` */
  constructor(options: ManagerOptions & PoolOption);
  /** @deprecated say `new Manager({ pool, ...options })` */
  constructor(pool: string, options?: ManagerOptions);
  constructor(first: (ManagerOptions & PoolOption) | string, rest?: ManagerOptions) {
    super();
    this.#options = toPartOptions("new Manager", first, rest);
    this.pool = poolName(this.#options.pool);
  }

  /** The largest payload, in bytes: the broker's limit less our headers. */
  get maxPayloadBytes(): number {
    return this.#openBus().maxPayloadBytes;
  }

  /** Slots of READY workers, busy ones among them as their heartbeats say, and parked jobs. */
  get capacity(): { readonly slots: number; readonly busy: number; readonly parked: number; readonly workers: number } {
    const { workers, dispatcher } = this.#openPool();
    let busy = 0;
    for (const worker of workers.all()) busy += worker.busy;
    return { slots: workers.capacity, busy, parked: dispatcher.parked.size, workers: workers.size };
  }

  /**
   * Adds a worker of this process: it shares this manager's connection, is
   * started now and stopped by close().
   */
  async add(worker: PoolMember): Promise<void> {
    this.#mustBeMine(worker.pool, "the worker");
    worker.useBus(this.#openBus());
    await worker.start();
    this.#members.push(worker);
    void worker.closed.then(() => this.#members.splice(this.#members.indexOf(worker), 1));
  }

  submit(payload: Payload, options: SubmitOptions = {}): Promise<JobResult> {
    try {
      const pool = this.#openPool();
      if (this.#telemetry !== undefined) return this.#submitTraced(this.#telemetry, toBytes(payload), options);
      if (options.id === undefined || !this.#isAway(pool, options.id)) return pool.run(toBytes(payload), options);
      return new Promise((resolve, reject) => {
        const onEnd = (outcome: Outcome): void => (outcome.ok ? resolve(outcome.result) : reject(outcome.error));
        this.#submitAway(pool, payload, options, onEnd, false);
      });
    } catch (error) {
      return Promise.reject(error);
    }
  }

  submitMany(
    payloads: Iterable<Payload> | AsyncIterable<Payload>,
    options: SubmitManyOptions = {},
  ): AsyncIterable<IndexedOutcome> {
    return submitMany(this.#starter(), payloads, options);
  }

  /**
   * The calls of this pool with types: values that are checked instead of payloads.
   *
   * @throws PoolError `invalid_argument`, field "pool", for the definition of another pool; `bus_unavailable` before the start
   */
  for<D extends PoolDefinition>(definition: D): TypedPool<D> {
    this.#mustBeMine(definition.name, "the definition");
    const submit = (payload: Uint8Array, options: SubmitOptions): Promise<JobResult> => this.submit(payload, options);
    return new TypedPool(definition, { ...this.#starter(), submit });
  }

  detachSubmit(payload: Payload, options: SubmitOptions & { onOutcome?: (outcome: Outcome) => void } = {}): string {
    const { onOutcome, onProgress, ...rest } = options;
    if (this.#telemetry !== undefined) {
      const traced = onProgress === undefined ? rest : { ...rest, onProgress };
      return this.#startTraced(this.#telemetry, toBytes(payload), traced, onOutcome ?? (() => {}), true);
    }
    const listener = { onEnd: onOutcome ?? (() => {}), ...(onProgress === undefined ? {} : { onProgress }) };
    const pool = this.#openPool();
    if (!this.#isAway(pool, options.id)) return pool.submit(toBytes(payload), rest, listener, true);
    return this.#submitAway(pool, payload, options, listener.onEnd, true);
  }

  /** The outcome of a job that was detached or whose id you chose, for a minute after its end. */
  outcome(id: string): Outcome | undefined {
    return this.#openPool().outcomes.get(checkName("job", id), this.#openBus().runtime.now());
  }

  async cancel(id: string): Promise<void> {
    if (this.#openPool().cancel(checkName("job", id))) return;
    await askCancel(this.#openBus(), this.#openPools(), this.pool, id);
  }

  /** Ends it: waits for live jobs up to the grace, stops added workers, closes its own connection. */
  close(): Promise<void> {
    return this.stop();
  }

  protected async onStart(): Promise<void> {
    const { connection, prefix, log } = this.#options;
    const settings = toPoolSettings(this.#options);
    this.#bus =
      connection ??
      (await Bus.connect({ name: `poolmesh-manager-${this.pool}`, waitOnFirstConnect: false, ...this.#options }));
    this.#telemetry = telemetry();
    const id = this.#options.id ?? newManagerId(this.#bus.runtime);
    this.#pools = new Pools({
      bus: this.#bus,
      id,
      pools: [this.pool],
      servesSubmit: false,
      settings,
      maxPools: 1,
      durable: this.#options.durable ?? false,
      graceMs: this.#graceMs,
      ...(prefix === undefined ? {} : { prefix }),
      ...(log === undefined ? {} : { log }),
    });
    void this.#bus.closed.then((error) => error !== undefined && this.fail(error));
    await this.#pools.start();
    this.#engine = this.#pools.get(this.pool);
    this.#away = new AwayJobs(this.#bus, this.#pools, id);
  }

  protected async onStop(): Promise<void> {
    this.#engine = undefined;
    await Promise.all([this.#away?.stop(this.#graceMs), this.#pools?.stop()]);
    await Promise.all([...this.#members].map((worker) => worker.stop()));
    if (this.#options.connection === undefined) await this.#bus?.close();
  }

  get #graceMs(): number {
    return this.#options.graceMs ?? 10_000;
  }

  #mustBeMine(pool: string, what: string): void {
    if (pool !== this.pool) throw new PoolError("invalid_argument", `${what} is of another pool`, { field: "pool" });
  }

  /** Whether another manager owns an id. */
  #isAway(pool: Pool, id: string | undefined): boolean {
    return this.#away?.isAway(pool, id) === true;
  }

  #starter(): PayloadStarter {
    const pool = this.#openPool();
    const traced = this.#telemetry;
    if (traced === undefined) return starterOf(pool);
    const start: PayloadStarter["start"] = (payload, each, onEnd) =>
      this.#startTraced(traced, payload, each, onEnd, false);
    return { ...starterOf(pool), start };
  }

  #submitTraced(traced: Telemetry, payload: Uint8Array, options: SubmitOptions): Promise<JobResult> {
    return new Promise((resolve, reject) => {
      const onEnd = (outcome: Outcome): void => (outcome.ok ? resolve(outcome.result) : reject(outcome.error));
      this.#startTraced(traced, payload, options, onEnd, false);
    });
  }

  #startTraced(
    traced: Telemetry,
    payload: Uint8Array,
    given: SubmitOptions,
    onOutcome: (outcome: Outcome) => void,
    detached: boolean,
  ): string {
    const pool = this.#openPool();
    return tracedSubmit(traced, this.pool, payload, given, onOutcome, (options, onEnd) => {
      if (this.#isAway(pool, options.id)) return this.#submitAway(pool, payload, options, onEnd, detached);
      return pool.submit(payload, options, { onEnd, onProgress: options.onProgress }, detached);
    });
  }

  #submitAway(
    pool: Pool,
    payload: Payload,
    options: SubmitOptions,
    onEnd: (outcome: Outcome) => void,
    detached: boolean,
  ): string {
    return (this.#away as AwayJobs).submit(pool, toBytes(payload), options, onEnd, detached);
  }

  /** @throws PoolError `bus_unavailable` before the start, `draining` while it stops */
  #openPool(): Pool {
    return this.#engine ?? this.#openPools().get(this.pool);
  }

  #openPools(): Pools {
    if (this.#pools === undefined) throw new PoolError("bus_unavailable", "the manager was not started");
    return this.#pools;
  }

  #openBus(): Bus {
    if (this.#bus === undefined) throw new PoolError("bus_unavailable", "the manager was not started");
    return this.#bus;
  }
}

function starterOf(pool: Pool): PayloadStarter {
  return {
    start: (payload, each, onEnd) => pool.submit(payload, each, { onEnd }),
    cancel: (id) => pool.cancel(id),
  };
}
