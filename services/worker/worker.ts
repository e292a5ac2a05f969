/**
 * The worker: owns slots, takes offers and assignments, and answers each.
 *
 * States: STARTING → READY ⇄ PAUSED; READY or PAUSED → DRAINING → STOPPED.
 * Decided here: the states and the order of starting and stopping. Everything
 * else is in the file of its name.
 */
import { WorkerState } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { PoolError } from "../../mesh/errors.js";
import type { HttpServer } from "../../mesh/http/server.js";
import { Bus, type BusOptions } from "../../mesh/link/bus.js";
import { Lifecycle } from "../../mesh/process/lifecycle.js";
import type { PoolMember } from "../../mesh/process/member.js";
import { PartEvents } from "../../mesh/process/part-events.js";
import { telemetry } from "../../mesh/trace/telemetry.js";
import { payloadLimit } from "../../mesh/wire/payloads.js";
import { checkMiddleware, type JobMiddleware } from "./handlers/around/job-middleware.js";
import { tracedRunner } from "./handlers/around/traced-runner.js";
import { reportTo } from "./handlers/job-report.js";
import { makeRunner } from "./handlers/make-runner.js";
import type { Runner } from "./handlers/runner.js";
import { type Listened, Session, type WorkerStatus } from "./session.js";
import type { WorkerEvents, WorkerName } from "./worker-events.js";
import { checkSlots, connectingOptions, settle, type WorkerOptions, type WorkerSettings } from "./worker-options.js";

export type { JobMiddleware } from "./handlers/around/job-middleware.js";
export type { CodecPair, Handler, HandlerOf, Job, JobOf } from "./handlers/handler.js";
export type { HandlerContext } from "./handlers/loaded-handler.js";
export type { JobName, WorkerEventMap, WorkerEvents, WorkerName } from "./worker-events.js";
export type { WorkerOptions } from "./worker-options.js";

/** How long aborted handlers may clean up at the end of the grace, in milliseconds. */
const ABORT_SETTLE_MS = 300;

/** A worker of one pool. `closed` settles when it has drained or stopped, with an error when its connection ended. */
export class Worker<I = unknown, O = unknown> extends Lifecycle implements PoolMember {
  readonly #settings: WorkerSettings;
  readonly #busOptions: BusOptions;
  #runner: Runner;
  readonly #middleware: JobMiddleware[] = [];
  readonly #listened: Listened = { events: undefined };
  #hasCrashed = false;
  #bus: Bus | undefined;
  #wasReady = false;
  #isTearingDown = false;
  #ownsBus = true;
  #session: Session | undefined;
  #http: HttpServer | undefined;
  readonly #status: WorkerStatus = { state: WorkerState.STARTING };
  #drained: Promise<void> | undefined;
  /** As asked for by options or resize(). */
  #slots: number;
  /** How many jobs the runner can run at once now. */
  #usable = Number.POSITIVE_INFINITY;
  /** Ends the wait for a broker. */
  readonly #giveUp = new AbortController();
  readonly #loaded: Promise<void>;
  #onLoaded!: () => void;

  /** @throws PoolError `invalid_argument` that names the option */
  constructor(options: WorkerOptions<I, O>) {
    super();
    this.#settings = settle(options);
    this.#loaded = new Promise((resolve) => {
      this.#onLoaded = resolve;
    });
    this.#slots = this.#settings.slots;
    const { log, id } = this.#settings;
    this.#busOptions = { name: `poolmesh-worker ${id}`, log, ...connectingOptions(options) };
    if (options.connection !== undefined) this.useBus(options.connection);
    void this.closed.then((error) => this.#listened.events?.tell("worker:stop", { ...this.#name, error }));
    this.#runner = makeRunner(options, this.#settings, {
      middleware: this.#middleware,
      maxBytes: () => this.#settings.large?.maxBytes ?? (this.#bus === undefined ? 0 : payloadLimit(this.#bus)),
      onUsable: (slots) => {
        this.#usable = slots;
        this.#offerSlots();
      },
    });
  }

  /** Where `/metrics` is served, after the start; undefined when it is not. */
  get metricsUrl(): string | undefined {
    return this.#http?.url;
  }

  /** What happens to this worker and its jobs; see {@link WorkerEventMap}. */
  get events(): WorkerEvents {
    this.#listened.events ??= new PartEvents(this.#settings.log);
    return this.#listened.events;
  }

  /**
   * Adds a middleware around the handler, before start(). The first one added is the outermost. It runs where the
   * handler runs: for a thread or process, export `middleware` from the handler's file.
   *
   * @throws PoolError `invalid_argument`, field "middleware"
   */
  use(middleware: JobMiddleware<I>): this {
    checkMiddleware(this.state, this.#runner.takesMiddleware === true, middleware);
    this.#middleware.push(middleware as JobMiddleware);
    return this;
  }

  get id(): string {
    return this.#settings.id;
  }

  get pool(): string {
    return this.#settings.pool;
  }

  get workerState(): WorkerState {
    return this.#session?.state ?? this.#status.state;
  }

  get slots(): number {
    return this.#session?.slots.total ?? this.#slots;
  }

  /** Slots that hold a running job. */
  get busy(): number {
    return this.#session?.slots.busy ?? 0;
  }

  /** Settles when the handler is loaded and set up, or cannot be. Never rejects. */
  get loaded(): Promise<void> {
    return this.#loaded;
  }

  /** Whether it was READY once. */
  get wasReady(): boolean {
    return this.#wasReady;
  }

  /** Whether its handler is torn down: no job runs any more, and their outcomes have left. */
  get isTearingDown(): boolean {
    return this.#isTearingDown;
  }

  /** Uses this connection instead of one of its own. Before start() only. */
  useBus(bus: Bus): void {
    if (this.state !== "idle") throw new PoolError("internal", "useBus() after start()");
    this.#bus = bus;
    this.#ownsBus = false;
  }

  /** Takes nothing new, finishes what runs, then ends. Resolves when it has ended. */
  async drain(): Promise<void> {
    await this.#drainJobs();
    await this.stop();
  }

  /** As stop(), after an exception that nobody caught: what does not end within the grace is `worker_lost`. */
  async stopAfterCrash(): Promise<void> {
    this.#hasCrashed = true;
    await this.stop();
  }

  /** Takes nothing new until resumed. */
  async pause(): Promise<void> {
    if (this.#status.state !== WorkerState.READY) return;
    this.#setState(WorkerState.PAUSED);
    this.#listened.events?.tell("worker:pause", this.#name);
    await this.#session?.offers.leave();
  }

  /** Takes jobs again after pause(). */
  async resume(): Promise<void> {
    if (this.#status.state !== WorkerState.PAUSED) return;
    this.#session?.offers.join();
    this.#setState(WorkerState.READY);
    this.#listened.events?.tell("worker:resume", this.#name);
  }

  /**
   * Changes the number of slots; running jobs keep theirs.
   *
   * @throws PoolError `invalid_argument`, field "slots"
   */
  resize(slots: number): void {
    checkSlots(slots);
    this.#slots = slots;
    this.#runner.resize(slots);
    this.#offerSlots();
  }

  protected override async onStart(): Promise<void> {
    await this.#runner.start().finally(this.#onLoaded);
    this.#throwIfStopped();
    const traced = telemetry();
    if (traced !== undefined) this.#runner = tracedRunner(this.#runner, traced);
    this.#bus ??= await this.#connect();
    await this.#takeLarge(this.#bus);
    this.#session = new Session(this.#bus, this.#runner, {
      settings: this.#settings,
      status: this.#status,
      listened: this.#listened,
      actions: {
        drain: () => this.#startDrain(),
        pause: () => this.pause(),
        resume: () => this.resume(),
        resize: (slots) => this.resize(slots),
      },
    });
    this.#session.slots.resize(Math.min(this.#slots, this.#usable));
    void this.#bus.closed.then((error) => this.#onBusClosed(error));
    await this.#session.open();
    this.#throwIfStopped();
    this.#session.offers.join();
    await this.#bus.flush();
    await this.#serveMetrics(this.#session);
    this.#setState(WorkerState.READY);
    this.#wasReady = true;
    this.#listened.events?.tell("worker:ready", { ...this.#name, slots: this.slots });
    if (this.workerState !== WorkerState.READY) return;
    this.#settings.log.info({ pool: this.pool, worker: this.id, slots: this.slots }, "worker ready");
  }

  async #takeLarge(bus: Bus): Promise<void> {
    const { large, log } = this.#settings;
    if (large === undefined) return;
    const { LargeRunner } = await import("./handlers/around/large-runner.js");
    const runner = new LargeRunner(this.#runner, { bus, large, report: reportTo(log) });
    await runner.start();
    this.#runner = runner;
    this.#throwIfStopped();
  }

  /** Before READY, so that a port that is taken is no worker that takes jobs. */
  async #serveMetrics({ slots, jobs }: Session): Promise<void> {
    const { metrics, log } = this.#settings;
    if (metrics === undefined) return;
    const { metricsServer } = await import("./metrics.js");
    const { pool, id, events } = this;
    const measured = { pool, id, events, state: () => this.workerState, slots: () => slots, totals: () => jobs.totals };
    this.#http = metricsServer(measured, metrics, log);
    await this.#http.start();
    this.#throwIfStopped();
  }

  protected override async onStop(): Promise<void> {
    this.#giveUp.abort();
    const session = this.#session;
    if (session !== undefined) {
      await this.#finish(session);
      // a teardown may block this process, or end it
      await session.settle();
      await this.#tearDown();
      await session.close(() => this.#setState(WorkerState.STOPPED, "silently"));
    } else await this.#tearDown();
    this.#status.state = WorkerState.STOPPED;
    await this.#http?.stop();
    if (this.#ownsBus) await this.#bus?.close();
    if (this.#wasReady) this.#settings.log.info({ pool: this.pool, worker: this.id }, "worker stopped");
  }

  async #tearDown(): Promise<void> {
    this.#isTearingDown = true;
    await this.#runner.stop();
    this.#isTearingDown = false;
  }

  get #name(): WorkerName {
    return { pool: this.pool, worker: this.id };
  }

  /** Offers the slots, without those whose thread or process cannot be loaded. */
  #offerSlots(): void {
    this.#session?.slots.resize(Math.min(this.#slots, this.#usable));
    this.#session?.heartbeats.changed();
  }

  /** Lets what runs finish within the grace, and aborts the rest. */
  async #finish(session: Session): Promise<void> {
    const graceEnds = session.empty(this.#settings.graceMs);
    void this.#drainJobs();
    if (await graceEnds) return;
    session.abortRunning(this.#hasCrashed);
    await session.empty(Math.min(ABORT_SETTLE_MS, this.#settings.abortGraceMs));
  }

  /** Control's drain: resolves when empty, and then the worker ends by itself. */
  #startDrain(): Promise<void> {
    const drained = this.#drainJobs();
    const stopSoon = (): void => void this.stop();
    void drained.then(() => this.#bus?.runtime.endOfTurn(stopSoon));
    return drained;
  }

  #drainJobs(): Promise<void> {
    this.#drained ??= this.#leaveAndFinish();
    return this.#drained;
  }

  async #leaveAndFinish(): Promise<void> {
    if (this.#session === undefined) return;
    this.#setState(WorkerState.DRAINING);
    this.#listened.events?.tell("worker:drain", this.#name);
    await this.#session.offers.leave();
    await this.#session.jobs.empty();
  }

  async #connect(): Promise<Bus> {
    const { signal } = this.#busOptions;
    const signals = [this.#giveUp.signal, ...(signal === undefined ? [] : [signal])];
    const bus = await Bus.connect({ ...this.#busOptions, signal: AbortSignal.any(signals) });
    if (this.#giveUp.signal.aborted) await bus.close();
    this.#throwIfStopped();
    return bus;
  }

  #throwIfStopped(): void {
    if (this.state === "stopping" || this.state === "stopped")
      throw new PoolError("canceled", "stopped while starting");
  }

  #onBusClosed(error: Error | undefined): void {
    if (error === undefined || this.state === "stopping" || this.state === "stopped") return;
    this.#settings.log.error({ error: error.message }, "the connection to the broker ended");
    this.fail(error);
  }

  #setState(state: WorkerState, how: "announced" | "silently" = "announced"): void {
    if (this.#status.state === state) return;
    this.#status.state = state;
    if (how === "announced") this.#session?.heartbeats.send();
  }
}
