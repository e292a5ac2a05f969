/**
 * The meter: heartbeats in, a live view of every pool out.
 *
 * The composition root. HTTP starts first, so probes and streams get an answer (not
 * ready, stale) while there is no broker yet. Stopping ends the streams first, so no
 * reader sees a view that is only half there.
 */
import { join } from "node:path";
import { PoolError } from "../../mesh/errors.js";
import { edgeOf } from "../../mesh/http/edge-options.js";
import { HttpServer } from "../../mesh/http/server.js";
import type { AllJobs } from "../../mesh/inspect/all-jobs.js";
import { Bus } from "../../mesh/link/bus.js";
import { ServiceApi } from "../../mesh/link/service-api.js";
import { packageRoot, packageVersion } from "../../mesh/process/identity.js";
import { Lifecycle } from "../../mesh/process/lifecycle.js";
import { type Logger, silentLog } from "../../mesh/process/log.js";
import { defaultId } from "../../mesh/process/process.js";
import { checkName, SERVICE_NAMES, Subjects } from "../../mesh/wire/subjects.js";
import { ClockWork } from "./clock-work.js";
import { type MeterOptions, requireToken } from "./config.js";
import { WorkerControl } from "./doors/control.js";
import { MeterHealth } from "./doors/health.js";
import { MeterLane } from "./doors/lane.js";
import { METER_SERVICES, meterRoutes } from "./doors/rpc.js";
import { StaticPage } from "./doors/static-page.js";
import { Ears } from "./hearing.js";
import { MeterState } from "./meter-state.js";
import { MeterMetrics } from "./metrics.js";

export type { MeterOptions };

/** One meter. */
export class Meter extends Lifecycle {
  readonly id: string;
  readonly #options: MeterOptions;
  readonly #log: Logger;
  readonly #subjects: Subjects;
  readonly #state: MeterState;
  readonly #clock: ClockWork;
  readonly #control: WorkerControl;
  readonly #lane: MeterLane;
  readonly #http: HttpServer;
  readonly #abandon = new AbortController();
  #sharedBus: Bus | undefined;
  #ownBus: Bus | undefined;
  #ears: Ears | undefined;
  #serviceApi: ServiceApi | undefined;

  /** @throws PoolError `invalid_argument` */
  constructor(options: MeterOptions) {
    super();
    requireToken(options);
    this.#options = options;
    this.id = options.id ?? defaultId();
    this.#log = options.log ?? silentLog;
    this.#subjects = new Subjects(options.prefix);
    for (const pool of options.pools ?? []) checkName("pool", pool);
    this.#state = new MeterState(options);
    this.#clock = new ClockWork(this.#state, () => this.#ears?.check());
    this.#control = new WorkerControl({
      enabled: options.control ?? false,
      line: () => this.#ears,
    });
    this.#lane = new MeterLane({
      enabled: options.durable ?? false,
      control: this.#control.enabled,
      pools: options.pools,
      line: () => this.#ears,
      heldBack: (pool) => this.#state.view.jobs.heldBack(pool),
    });
    this.#http = this.#makeHttp();
  }

  /** Where it serves HTTP, without a slash at the end. */
  get url(): string {
    return this.#http.url;
  }

  /** Uses this connection instead of one of its own, and leaves it open. Before start() only. */
  useBus(bus: Bus): void {
    this.#sharedBus = bus;
  }

  protected override async onStart(): Promise<void> {
    this.#state.changes.start();
    this.#clock.start();
    await this.#http.start();
    const bus = this.#sharedBus ?? (await this.#connect());
    this.#abandon.signal.throwIfAborted();
    void bus.closed.then((error) => error !== undefined && this.fail(error));
    this.#ears = new Ears(bus, this.#subjects, this.#state, this.#options.pools, (nowMs) =>
      this.#clock.onMessage(nowMs),
    );
    await this.#ears.start();
    this.#abandon.signal.throwIfAborted();
    this.#serviceApi = new ServiceApi({
      bus,
      name: SERVICE_NAMES.meter,
      id: this.id,
      version: packageVersion(),
      description: "Turns heartbeats into a view of every pool",
      metadata: { url: this.url },
      endpoints: () => [],
    });
    await this.#serviceApi.start();
  }

  protected override async onStop(): Promise<void> {
    this.#abandon.abort(new Error("stopped while starting"));
    await this.#http.stop();
    await this.#serviceApi?.stop();
    this.#clock.stop();
    this.#state.changes.stop();
    this.#lane.stop();
    this.#ears?.stop();
    await this.#ownBus?.close();
  }

  /** Waits for a broker until the meter stops. */
  async #connect(): Promise<Bus> {
    const name = `poolmesh-meter-${this.id}`;
    const { signal } = this.#abandon;
    const bus = await Bus.connect({ name, ...this.#options.bus, log: this.#log, signal });
    this.#ownBus = bus;
    if (signal.aborted) await bus.close();
    return bus;
  }

  #jobs(): AllJobs {
    if (this.#ears === undefined) throw new PoolError("bus_unavailable", "not connected to the broker");
    return this.#ears.jobs;
  }

  #makeHttp(): HttpServer {
    const { pageFolder } = this.#options;
    const names = METER_SERVICES.map((service) => service.typeName);
    const metrics = new MeterMetrics(this.#state, () => this.#http);
    const doors = {
      state: this.#state,
      clock: this.#clock,
      control: this.#control,
      lane: this.#lane,
      jobs: () => this.#jobs(),
    };
    const config = { control: this.#control.enabled, durable: this.#lane.enabled, version: packageVersion() };
    const page = new StaticPage(pageFolder ?? join(packageRoot(), "dist", "page"), config);
    return new HttpServer({
      ...edgeOf(this.#options),
      routes: (router) => meterRoutes(router, doors),
      services: METER_SERVICES,
      isReady: () => (this.#state.freshness.stale ? "not connected to the broker" : true),
      health: new MeterHealth(this.#state, names),
      metrics: () => metrics.text(),
      plain: (req, res) => page.answer(req, res),
      readMaxBytes: 64 * 1024,
      log: this.#log,
    });
  }
}
