/**
 * The manager as a service: every pool, over NATS and over HTTP.
 *
 * The composition root. Starts in the order bus, pools, HTTP, service API, so
 * that a door opens only when what is behind it is ready; stops in the reverse
 * order, so that live jobs can still be answered through the doors they came by.
 */
import { DurableService as DurableServiceDesc } from "../../gen/poolmesh/v1/durable_pb.js";
import { JobService as JobServiceDesc } from "../../gen/poolmesh/v1/job_pb.js";
import { ManagerService as ManagerServiceDesc } from "../../gen/poolmesh/v1/manager_pb.js";
import { type EdgeOptions, edgeOf } from "../../mesh/http/edge-options.js";
import { HttpServer } from "../../mesh/http/server.js";
import { AllJobs } from "../../mesh/inspect/all-jobs.js";
import { jobRoutes } from "../../mesh/inspect/job-service.js";
import { Bus, type BusOptions } from "../../mesh/link/bus.js";
import type { PartOptions } from "../../mesh/link/part-options.js";
import { ServiceApi } from "../../mesh/link/service-api.js";
import { newIncarnation, packageVersion } from "../../mesh/process/identity.js";
import { Lifecycle } from "../../mesh/process/lifecycle.js";
import { QUEUE_MANAGERS, SERVICE_NAMES } from "../../mesh/wire/subjects.js";
import { WorkerControl } from "./control.js";
import { durableRoutes } from "./doors/durable/rpc.js";
import { managerRoutes } from "./doors/rpc.js";
import { type ManagerOptions, toPoolSettings } from "./manager.js";
import { managerMetrics } from "./metrics.js";
import { AwayJobs } from "./owners/away-jobs.js";
import { newManagerId, Pools } from "./pools.js";
import { StreamCheck } from "./stream-check.js";

/** How the service is made: a manager's options, and where it listens. */
export interface ManagerServiceOptions extends Omit<ManagerOptions, keyof PartOptions | "bus">, EdgeOptions {
  bus?: BusOptions;
  /** First token of every subject; default "pool". */
  prefix?: string;
  log?: BusOptions["log"];
  /** The pools to serve; default all. */
  pools?: readonly string[];
  /** Pools known at once; default 1,000. */
  maxPools?: number;
}

/** How much larger than its payload a request may be: JSON writes one byte of text in six, and there are other fields. */
const REQUEST_GROWTH = 8;

export class ManagerService extends Lifecycle {
  readonly id: string;
  readonly #options: ManagerServiceOptions;
  /** Ends the wait for a broker. */
  readonly #givingUp = new AbortController();
  #bus: Bus | undefined;
  #pools: Pools | undefined;
  #away: AwayJobs | undefined;
  #http: HttpServer | undefined;
  #serviceApi: ServiceApi | undefined;
  #streamCheck: StreamCheck | undefined;

  constructor(options: ManagerServiceOptions) {
    super();
    this.#options = options;
    this.id = options.id ?? newManagerId();
  }

  get #graceMs(): number {
    return this.#options.graceMs ?? 10_000;
  }

  /** Where it serves HTTP. After start(). */
  get url(): string {
    return this.#http?.url ?? "";
  }

  /** All pools of this manager; undefined before start(). */
  get pools(): Pools | undefined {
    return this.#pools;
  }

  protected async onStart(): Promise<void> {
    const { log, prefix } = this.#options;
    const shared = log === undefined ? {} : { log };
    const { signal } = this.#givingUp;
    const bus = await Bus.connect({ name: `poolmesh-manager-${this.id}`, ...this.#options.bus, ...shared, signal });
    this.#bus = bus;
    void bus.closed.then((error) => error !== undefined && this.fail(error));
    const pools = new Pools({
      bus,
      id: this.id,
      servesSubmit: true,
      settings: toPoolSettings(this.#options),
      maxPools: this.#options.maxPools ?? 1_000,
      graceMs: this.#graceMs,
      durable: this.#options.durable ?? false,
      ...(this.#options.pools === undefined ? {} : { pools: this.#options.pools }),
      ...(prefix === undefined ? {} : { prefix }),
      ...shared,
    });
    this.#pools = pools;
    await pools.start();
    // It may have been told to stop while it heard the others.
    signal.throwIfAborted();
    this.#away = new AwayJobs(bus, pools, this.id);
    this.#http = this.#makeHttp(bus, pools, this.#away);
    await this.#http.start();
    this.#serviceApi = this.#makeServiceApi(bus, pools);
    await this.#serviceApi.start();
    const { subjects } = pools;
    this.#streamCheck = new StreamCheck({ bus, subjects, pools: () => pools.known(), ...shared });
    // Nobody waits for a look at other people's streams.
    void this.#streamCheck.start();
  }

  protected async onStop(): Promise<void> {
    this.#givingUp.abort();
    this.#streamCheck?.stop();
    this.#http?.refuse();
    await Promise.all([this.#away?.stop(this.#graceMs), this.#pools?.stop()]);
    await this.#serviceApi?.stop();
    await this.#http?.stop();
    await this.#bus?.close();
  }

  #makeHttp(bus: Bus, pools: Pools, away: AwayJobs): HttpServer {
    const { log } = this.#options;
    const metrics = managerMetrics(pools, bus);
    const control = new WorkerControl(bus, pools);
    const { inbox, subjects, served, peers, inspection } = pools;
    const jobs = new AllJobs({
      ...{ bus, inbox, subjects, served },
      managers: (pool) => peers.managers(pool),
      own: { id: this.id, answer: (query, pool) => inspection.answers.answer(query, pool) },
    });
    return new HttpServer({
      ...edgeOf(this.#options),
      routes: (router, gate) => {
        const parts = { bus, pools, away, gate, control };
        managerRoutes(router, parts);
        durableRoutes(router, parts);
        jobRoutes(router, { jobs: () => jobs, gate });
      },
      services: [ManagerServiceDesc, DurableServiceDesc, JobServiceDesc],
      isReady: () => whyNotReady(bus, pools) ?? true,
      metrics: () => metrics.metrics(),
      exemplars: () => inspection.exemplars.all,
      readMaxBytes: REQUEST_GROWTH * bus.maxPayloadBytes,
      ...(log === undefined ? {} : { log }),
    });
  }

  #makeServiceApi(bus: Bus, pools: Pools): ServiceApi {
    return new ServiceApi({
      bus,
      name: SERVICE_NAMES.manager,
      id: this.id,
      version: packageVersion(),
      metadata: { incarnation: String(newIncarnation(bus.runtime.wallNow())) },
      description: "Turns jobs into results",
      endpoints: () => [
        {
          name: "submit",
          subject: pools.subjects.every.submit(),
          queueGroup: QUEUE_MANAGERS,
          ...jobTotals(pools),
        },
      ],
    });
  }
}

function whyNotReady(bus: Bus, { missingPermissions }: Pools): string | undefined {
  if (!bus.connected) return "not connected to the broker";
  return missingPermissions.length === 0 ? undefined : `the broker refuses: ${missingPermissions.join(", ")}`;
}

function jobTotals(pools: Pools): { requests: number; errors: number } {
  let requests = 0;
  let errors = 0;
  for (const { totals } of pools.known()) {
    requests += totals.submitted;
    for (const [outcome, { count }] of totals.outcomes()) if (outcome !== "ok") errors += count;
  }
  return { requests, errors };
}
