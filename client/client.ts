/**
 * The light client: submits jobs of one pool through `pool.P.submit`.
 *
 * It hears no heartbeat and knows no worker; a manager parks, dispatches and answers. Decided here: the verbs, the same
 * as Manager's, and how a submission is written. Not decided here: what happens when managers come and go (failover.ts).
 */
import type { BatchStatus } from "../mesh/durable/batches/batch-status.js";
import { jobCanceled, PoolError } from "../mesh/errors.js";
import { checkPayload } from "../mesh/job/codec.js";
import {
  DEFAULT_TIMEOUT_MS,
  type IndexedOutcome,
  type JobResult,
  type JobSpec,
  type Outcome,
  type Payload,
  type SubmitManyOptions,
  type SubmitOptions,
  type Submitter,
  toBytes,
  toJobSpec,
} from "../mesh/job/job.js";
import { type PoolDefinition, poolName } from "../mesh/job/pool-definition.js";
import { type PayloadStarter, submitMany } from "../mesh/job/submit-many.js";
import { askCancel } from "../mesh/link/ask-cancel.js";
import { Bus } from "../mesh/link/bus.js";
import { type PoolOption, toPartOptions } from "../mesh/link/part-options.js";
import { type LargePayloads, settleLargePayloads } from "../mesh/objects/large-payloads.js";
import { Lifecycle } from "../mesh/process/lifecycle.js";
import { silentLog } from "../mesh/process/log.js";
import { PartEvents } from "../mesh/process/part-events.js";
import { type Telemetry, telemetry } from "../mesh/trace/telemetry.js";
import { type StartJob, tracedSubmit, withContext } from "../mesh/trace/traced-submit.js";
import { payloadLimit } from "../mesh/wire/payloads.js";
import { checkName, Subjects } from "../mesh/wire/subjects.js";
import { AroundSubmit, type SubmitMiddleware } from "./around-submit.js";
import { type ClientEventMap, type ClientEvents, telling } from "./client-events.js";
import type { ClientOptions } from "./client-options.js";
import type { BatchOptions } from "./durable/batches/batch-options.js";
import type { BatchReceipt } from "./durable/batches/batch-receipt.js";
import { ClientLane, type Enqueued, type EnqueueManyOptions } from "./durable/client-lane.js";
import type { EnqueueOptions } from "./durable/enqueue-options.js";
import type { JobLookup } from "./durable/job-reads.js";
import type { Receipt } from "./durable/receipt.js";
import { LargeJobs } from "./large/large-jobs.js";
import { ClientLink } from "./link.js";
import { Submission, submissionHeaders, untilAborted } from "./submission.js";
import { TypedClientPool } from "./typed-client-pool.js";

export type { ClientOptions };

const NO_PAYLOAD = new Uint8Array();

/** What a submission may say, and who hears that a manager has it. */
type StartOptions = SubmitOptions & { readonly onTaken?: () => void };

export class Client extends Lifecycle implements Submitter {
  readonly pool: string;
  readonly #options: ClientOptions & PoolOption;
  readonly #subjects: Subjects;
  readonly #largePayloads: LargePayloads | undefined;
  #bus: Bus | undefined;
  #offBus: (() => void)[] = [];
  #link: ClientLink | undefined;
  #lane: ClientLane | undefined;
  #large: LargeJobs | undefined;
  /** Clients of other pools on this connection, by pool. */
  readonly #others = new Map<string, Client>();
  /** The client whose connection this is: middleware and events are its own. */
  #root: Client = this;
  #around: AroundSubmit | undefined;
  #telemetry: Telemetry | undefined;
  #events: PartEvents<ClientEventMap> | undefined;
  readonly #starter: PayloadStarter = {
    start: (payload, each, onEnd) => this.#start(payload, each, onEnd),
    cancel: (id) => this.#cancelHere(id),
  };

  /**
   * Connects to the broker.
   *
   * @throws PoolError `invalid_argument`, `bus_unavailable`, `unauthenticated`
   */
  static connect(options: ClientOptions & PoolOption): Promise<Client>;
  /** @deprecated say `Client.connect({ pool, ...options })` */
  static connect(pool: string, options?: ClientOptions): Promise<Client>;
  static async connect(first: (ClientOptions & PoolOption) | string, rest?: ClientOptions): Promise<Client> {
    const client = new Client(toPartOptions("Client.connect", first, rest));
    await client.start();
    return client;
  }

  /** Connects at start(). @throws PoolError `invalid_argument` */
  constructor(options: ClientOptions & PoolOption);
  /** @deprecated say `new Client({ pool, ...options })` */
  constructor(pool: string, options?: ClientOptions);
  constructor(first: (ClientOptions & PoolOption) | string, rest?: ClientOptions) {
    super();
    this.#options = toPartOptions("new Client", first, rest);
    this.pool = poolName(this.#options.pool);
    this.#subjects = new Subjects(this.#options.prefix);
    this.#largePayloads = settleLargePayloads(this.#options.largePayloads, this.#subjects.prefix);
  }

  /** The largest payload, in bytes: the broker's limit less our headers. */
  get maxPayloadBytes(): number {
    return this.#open().bus.maxPayloadBytes;
  }

  /**
   * Adds a middleware around each job that is submitted from now on, also by client.for(). The first one added is the
   * outermost. It may change payload and options before next(), and give another result.
   */
  use(middleware: SubmitMiddleware): this {
    this.#root.#around ??= new AroundSubmit();
    this.#root.#around.use(middleware);
    return this;
  }

  /** What happens to this client and its jobs; see {@link ClientEventMap}. */
  get events(): ClientEvents {
    this.#root.#events ??= new PartEvents(this.#options.log ?? silentLog);
    return this.#root.#events;
  }

  submit(payload: Payload, options: SubmitOptions = {}): Promise<JobResult> {
    return new Promise((resolve, reject) => {
      const onOutcome = (outcome: Outcome): void => (outcome.ok ? resolve(outcome.result) : reject(outcome.error));
      try {
        this.#start(toBytes(payload), options, onOutcome);
      } catch (error) {
        reject(error);
      }
    });
  }

  submitMany(
    payloads: Iterable<Payload> | AsyncIterable<Payload>,
    options: SubmitManyOptions = {},
  ): AsyncIterable<IndexedOutcome> {
    return submitMany(this.#starter, payloads, options);
  }

  /**
   * The calls of a typed pool: values that are checked instead of payloads. A pool that is not this client's own is
   * called over the same connection.
   *
   * @throws PoolError `bus_unavailable` before the start
   */
  for<D extends PoolDefinition>(definition: D): TypedClientPool<D> {
    const client = this.#clientOf(definition.name);
    const submit = (payload: Uint8Array, options: SubmitOptions): Promise<JobResult> => client.submit(payload, options);
    return new TypedClientPool(definition, { ...client.#starter, submit }, () => client.#openLane());
  }

  /** Besides what Submitter says: `onTaken` is called once, when a manager has said that it has the job. */
  detachSubmit(payload: Payload, options: StartOptions & { onOutcome?: (outcome: Outcome) => void } = {}): string {
    const { onOutcome, ...rest } = options;
    return this.#start(toBytes(payload), rest, onOutcome ?? (() => {}));
  }

  /**
   * Cancels a job of this pool wherever it is. One of this client ends as `canceled` at once.
   *
   * @returns resolves when a manager or a worker has heard it, or the job is over; it is said again until then
   * @throws PoolError `not_found` when nobody has it; `bus_unavailable` when nobody has confirmed the cancel of a job of
   * this client before its deadline
   */
  cancel(id: string): Promise<void> {
    const heard = this.#cancel(id);
    // Who does not wait for it need not catch it.
    heard.catch(() => undefined);
    return heard;
  }

  /**
   * Stores a job in the pool's stream, for a manager with `durable` to run. No manager needs to be there now.
   *
   * @throws PoolError `unknown_pool` when the pool has no durable lane, `pool_full`, `duplicate_job`,
   * `payload_too_large`, `invalid_argument`, `bus_unavailable`; with `maybeExecuted` it may be stored all the same
   */
  async enqueue(payload: Payload, options: EnqueueOptions = {}): Promise<Receipt> {
    const telemetry = this.#telemetry;
    return this.#openLane().enqueue(payload, telemetry === undefined ? options : withContext(telemetry, options));
  }

  /** Stores a stream of jobs with back-pressure, in the order of the inputs. Failures are told in their place. */
  enqueueMany(
    payloads: Iterable<Payload> | AsyncIterable<Payload>,
    options: EnqueueManyOptions = {},
  ): AsyncIterable<Enqueued> {
    return this.#openLane().enqueueMany(payloads, options, (payload) => payload);
  }

  /**
   * Stores many jobs, and has one more enqueued when every one of them has an outcome: its payload is the summary.
   *
   * @throws PoolError why a job is not stored, as of enqueue(): to say the same batch again, by its id, finishes it;
   * `duplicate_job` when a batch of the id is there and says something else
   */
  async enqueueBatch(
    payloads: Iterable<Payload> | AsyncIterable<Payload>,
    options: BatchOptions,
  ): Promise<BatchReceipt> {
    return this.#openLane().enqueueBatch(payloads, options, (payload) => payload);
  }

  /** How a batch stands. @throws PoolError `not_found`, `unknown_pool`, `bus_unavailable` */
  async batch(id: string): Promise<BatchStatus> {
    return this.#openLane().batch(id);
  }

  /**
   * The outcome of a durable job, kept for 24 hours.
   *
   * @param options `waitMs`: how long to wait for it, in milliseconds; default 0
   * @returns undefined when the job is live
   * @throws PoolError `not_found` when no live job has this id and no outcome is kept
   */
  async outcome(id: string, { waitMs = 0 }: { readonly waitMs?: number } = {}): Promise<Outcome | undefined> {
    return this.#openLane().outcome(id, waitMs);
  }

  /**
   * Where a durable job stands.
   *
   * @throws PoolError `not_found` when no live job has this id and no outcome is kept
   */
  async lookup(id: string): Promise<JobLookup> {
    return this.#openLane().lookup(id);
  }

  /** Ends it: jobs under way end as `canceled`, its own connection is closed. */
  close(): Promise<void> {
    return this.stop();
  }

  protected async onStart(): Promise<void> {
    const options = this.#options;
    this.#bus =
      options.connection ??
      (await Bus.connect({ name: `poolmesh-client-${this.pool}`, waitOnFirstConnect: false, ...options }));
    this.#telemetry = telemetry();
    this.#large = this.#largePayloads && new LargeJobs(this.#bus, this.pool, this.#largePayloads);
    this.#link = new ClientLink(this.#bus, this.#subjects, this.pool, this.#large !== undefined);
    void this.#bus.closed.then((error) => error !== undefined && this.fail(error));
    if (this.#root !== this) return;
    await this.#large?.check();
    const { pool } = this;
    this.#offBus = [
      this.#bus.on("disconnect", () => this.#events?.tell("client:disconnect", { pool })),
      this.#bus.on("reconnect", () => this.#events?.tell("client:reconnect", { pool })),
    ];
    this.#events?.tell("client:ready", { pool });
  }

  protected async onStop(): Promise<void> {
    await Promise.all([...this.#others.values()].map((other) => other.stop()));
    this.#link?.stop();
    this.#lane?.stop();
    await this.#large?.stop();
    for (const off of this.#offBus) off();
    if (this.#options.connection === undefined) await this.#bus?.close();
    if (this.#root === this) this.#events?.tell("client:stop", { pool: this.pool });
  }

  #clientOf(pool: string): Client {
    const { bus } = this.#open();
    if (pool === this.pool) return this;
    let other = this.#others.get(pool);
    if (other === undefined) {
      const { prefix, timeoutMs, largePayloads } = this.#options;
      const same = {
        ...(prefix && { prefix }),
        ...(timeoutMs && { timeoutMs }),
        ...(largePayloads && { largePayloads }),
      };
      other = new Client({ pool, connection: bus, ...same });
      other.#root = this.#root;
      this.#others.set(pool, other);
      // it has its connection, so it is started when this returns
      void other.start();
    }
    return other;
  }

  #openLane(): ClientLane {
    const { bus, link } = this.#open();
    const timeoutMs = this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const parts = { bus, inbox: link.inbox, prefix: this.#subjects.prefix, pool: this.pool, large: this.#large };
    this.#lane ??= new ClientLane(parts, timeoutMs);
    return this.#lane;
  }

  #open(): { bus: Bus; link: ClientLink } {
    if (this.#bus === undefined || this.#link === undefined || this.state === "stopped") {
      throw new PoolError("bus_unavailable", "the client is not started");
    }
    return { bus: this.#bus, link: this.#link };
  }

  async #cancel(id: string): Promise<void> {
    const { bus, link } = this.#open();
    const heard = this.#cancelNow(checkName("job", id));
    await (heard ?? askCancel(bus, { inbox: link.inbox, subjects: this.#subjects }, this.pool, id));
  }

  /** Cancels a job that is live here; undefined when it is not. */
  #cancelNow(id: string): Promise<void> | undefined {
    if (this.#root.#around?.cancel(id) === true || this.#large?.cancel(id) === true) return Promise.resolve();
    return this.#open().link.cancel(id);
  }

  #cancelHere(id: string): boolean {
    return this.#cancelNow(id) !== undefined;
  }

  /** Submits through the middleware, if there is any. */
  #start(payload: Uint8Array, options: SubmitOptions, onOutcome: (outcome: Outcome) => void): string {
    const around = this.#root.#around;
    const { newId } = this.#open().bus.runtime;
    if (around === undefined) return this.#submit(payload, options, onOutcome, newId);
    const id = options.id ?? newId();
    around.run(
      { pool: this.pool, id, payload, options: { ...options } },
      (call, onEnd) => void this.#submit(call.payload, call.options, onEnd, () => id),
      onOutcome,
    );
    return id;
  }

  #submit(
    payload: Uint8Array,
    options: SubmitOptions,
    onOutcome: (outcome: Outcome) => void,
    newId: () => string,
  ): string {
    if (this.#telemetry === undefined) return this.#put(payload, options, onOutcome, newId);
    const start: StartJob = (traced, onEnd) => this.#put(payload, traced, onEnd, newId);
    return tracedSubmit(this.#telemetry, this.pool, payload, options, onOutcome, start);
  }

  /** Submits by way of the object store where the payload has to. */
  #put(
    payload: Uint8Array,
    options: SubmitOptions,
    onOutcome: (outcome: Outcome) => void,
    newId: () => string,
  ): string {
    const large = this.#large;
    if (large?.mustStore(payload, options) !== true) return this.#submitNow(payload, options, onOutcome, newId);
    const { id, timeoutMs } = this.#check(NO_PAYLOAD, options, newId);
    const events = this.#root.#events;
    large.start(
      { id, payload: checkPayload(payload), timeoutMs, signal: options.signal },
      {
        submit: (reference, leftMs, end) =>
          void this.#submitNow(reference, { ...options, timeoutMs: leftMs }, end, () => id),
        onOutcome,
        onNotSubmitted: events === undefined ? onOutcome : telling(events, this.pool, onOutcome),
      },
    );
    return id;
  }

  /** @throws PoolError why it is refused at once */
  #check(payload: Uint8Array, options: SubmitOptions, newId: () => string): JobSpec {
    const { bus, link } = this.#open();
    if (options.signal?.aborted) throw jobCanceled();
    const timeoutMs = this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const spec = toJobSpec(payload, options, timeoutMs, payloadLimit(bus), newId);
    if (link.isLive(spec.id) || this.#large?.isLive(spec.id) === true) {
      throw new PoolError("duplicate_job", "a job with this id is live at this client", { field: "job" });
    }
    bus.requireConnected();
    return spec;
  }

  #submitNow(
    payload: Uint8Array,
    options: SubmitOptions,
    onOutcome: (outcome: Outcome) => void,
    newId: () => string,
  ): string {
    const { bus, link } = this.#open();
    const { signal, onProgress, onTaken }: StartOptions = options;
    const spec = this.#check(payload, options, newId);
    const nowMs = bus.runtime.now();
    const events = this.#root.#events;
    const told = events === undefined ? onOutcome : telling(events, this.pool, onOutcome);
    const whole = this.#large?.reading(told, nowMs + spec.timeoutMs) ?? told;
    const end = signal === undefined ? whole : untilAborted(signal, () => this.#cancelHere(spec.id), whole);
    const submission = new Submission(submissionHeaders(spec), payload, nowMs, nowMs + spec.timeoutMs, end, onProgress);
    submission.onTaken = onTaken;
    link.submit(submission);
    events?.tell("job:submit", { pool: this.pool, id: spec.id });
    return spec.id;
  }
}
