/**
 * A meter without a broker: MeterService over a {@link FakeFleet}, and the page
 * beside it. For tests of what looks at a meter.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { JobFilterSchema, JobOrder, JobService, type JobView, JobViewState } from "../../../gen/poolmesh/v1/job_pb.js";
import { type Freshness, FreshnessSchema, MeterService, WorkerOp } from "../../../gen/poolmesh/v1/meter_pb.js";
import type { WorkerView } from "../../../gen/poolmesh/v1/view_pb.js";
import { packageRoot, packageVersion } from "../../../mesh/process/identity.js";
import { StaticPage } from "../../../services/meter/doors/static-page.js";
import type { FakeFleet } from "./fake-fleet.js";
import { fakeJobStats, fakeJobs } from "./fake-jobs.js";
import type { FakeLane } from "./fake-lane.js";

/** What a fake meter may be told. */
export interface FakeMeterOptions {
  readonly port?: number;
  /** Time between two messages, in milliseconds; default 200. */
  readonly stepMs?: number;
  /** Set: control is enabled and wants this token. */
  readonly controlToken?: string;
  /** Where the built page is; default dist/page. */
  readonly pageFolder?: string;
  /** Set: it shows this durable lane. */
  readonly lane?: FakeLane;
}

/** Serves a fleet until stopped. */
export class FakeMeter {
  /** Set to make the meter say that it is cut off from the broker. */
  staleAgeMs: number | undefined;
  /** Managers that do not answer when jobs are asked for, and why nobody does; "" when they do. */
  silentManagers: readonly string[] = [];
  jobsFailure = "";
  /** Set false to freeze the fleet. */
  running = true;
  readonly #listeners = new Set<(changed: WorkerView[]) => void>();
  readonly #server: Server;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(
    readonly fleet: FakeFleet,
    readonly options: FakeMeterOptions = {},
  ) {
    const config = {
      control: options.controlToken !== undefined,
      durable: options.lane !== undefined,
      version: packageVersion(),
    };
    const page = new StaticPage(options.pageFolder ?? join(packageRoot(), "dist", "page"), config);
    const rpc = connectNodeAdapter({
      routes: (router) => this.#routes(router),
      fallback: (req, res) => {
        const response = res as ServerResponse;
        if (!page.answer(req as IncomingMessage, response)) response.writeHead(404).end();
      },
    });
    this.#server = createServer(rpc);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.options.port ?? 0, "127.0.0.1", resolve));
    this.#timer = setInterval(() => {
      const changed = this.running ? this.fleet.step() : [];
      for (const listener of [...this.#listeners]) listener(changed);
    }, this.options.stepMs ?? 200);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  #routes(router: ConnectRouter): void {
    const { fleet } = this;
    const all = (pool: string) =>
      fleet.pools.map((each) => fleet.capacity(each.name)).filter((each) => pool === "" || each.pool === pool);
    const meter = this;
    this.options.lane?.serve(router, (context) => this.#requireToken(context));
    router.service(JobService, {
      listJobs: (request) => {
        if (this.jobsFailure !== "") throw new ConnectError(this.jobsFailure, Code.Internal);
        return { jobs: fakeJobs(fleet, request), silentManagers: [...this.silentManagers] };
      },
      getJob: ({ pool, jobId }) => ({ job: findJob(fleet, pool, jobId) }),
    });
    router.service(MeterService, {
      getCapacity: (request) => ({
        pools: all(request.pool),
        total: fleet.capacity(request.pool),
        freshness: this.#freshness(),
      }),
      listWorkers: () => ({ workers: [...fleet.views.values()], freshness: this.#freshness() }),
      async *watchCapacity(request, context) {
        for (let version = 1n; ; version += 1n) {
          yield {
            version,
            snapshot: version === 1n,
            pools: all(request.pool),
            total: fleet.capacity(request.pool),
            freshness: meter.#freshness(),
          };
          await meter.#tick(context.signal);
        }
      },
      async *watchWorkers(request, context) {
        let changed = [...fleet.views.values()];
        for (let version = 1n; ; version += 1n) {
          const mine = changed.filter((view) => request.pool === "" || view.heartbeat?.pool === request.pool);
          yield { version, snapshot: version === 1n, changed: mine, removed: [], freshness: meter.#freshness() };
          changed = await meter.#tick(context.signal);
        }
      },
      getHistory: (request) => this.#history(request.pool),
      getJobStats: ({ pool }) => fakeJobStats(fleet, pool),
      controlWorker: (request, context) => {
        this.#requireToken(context);
        const heartbeat = fleet.find(request.worker)?.heartbeat;
        if (heartbeat === undefined) throw new ConnectError("not_found: no such worker", Code.NotFound);
        heartbeat.state = {
          [WorkerOp.DRAIN]: WorkerState.DRAINING,
          [WorkerOp.PAUSE]: WorkerState.PAUSED,
          [WorkerOp.RESUME]: WorkerState.READY,
          [WorkerOp.UNSPECIFIED]: heartbeat.state,
        }[request.op];
        return { worker: heartbeat };
      },
    });
  }

  #requireToken({ requestHeader }: HandlerContext): void {
    if (requestHeader.get("authorization") === `Bearer ${this.options.controlToken}`) return;
    throw new ConnectError("unauthenticated: a valid token is wanted", Code.Unauthenticated);
  }

  #tick(signal: AbortSignal): Promise<WorkerView[]> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.#listeners.delete(listener);
        signal.removeEventListener("abort", abort);
      };
      const listener = (changed: WorkerView[]): void => {
        settle();
        resolve(changed);
      };
      const abort = (): void => {
        settle();
        reject(new ConnectError("the meter stops", Code.Unavailable));
      };
      this.#listeners.add(listener);
      signal.addEventListener("abort", abort);
    });
  }

  #freshness(): Freshness {
    const stale = this.staleAgeMs !== undefined;
    return create(FreshnessSchema, { stale, staleAgeMs: this.staleAgeMs ?? 0, at: timestampFromMs(Date.now()) });
  }

  #history(pool: string) {
    const points = 900;
    const slots = this.fleet.capacity(pool).slots;
    const wave = (i: number): number => {
      const swell = Math.sin(i / 71) * 0.22 + Math.sin(i / 23 + 1) * 0.1 + Math.sin(i / 7.3) * 0.04;
      return Math.min(1, Math.max(0, 0.6 + swell + (i > 560 && i < 660 ? 0.35 : 0)));
    };
    const utilization = Array.from({ length: points }, (_, i) => (i < 40 ? -1 : wave(i)));
    return {
      start: timestampFromMs(Date.now() - points * 1_000),
      stepMs: 1_000,
      utilization,
      jobsPerSecond: utilization.map((share, i) => (share < 0 ? 0 : share * slots * (5 + Math.sin(i / 5) * 0.6))),
      slots: utilization.map(() => slots),
      parked: utilization.map((share, i) => (share > 0.97 ? Math.round((i % 100) * 1.7) : 0)),
    };
  }
}

function findJob(fleet: FakeFleet, pool: string, jobId: string): JobView {
  const ask = (states: JobViewState[], order: JobOrder) =>
    fakeJobs(fleet, { filter: create(JobFilterSchema, { pool, states }), order });
  const all = [
    ...ask([JobViewState.FAILED], JobOrder.UNSPECIFIED),
    ...ask([], JobOrder.SLOWEST),
    ...ask([], JobOrder.UNSPECIFIED),
  ];
  const found = all.find((job) => job.jobId === jobId);
  if (found === undefined) throw new ConnectError("no manager has a job with this id", Code.NotFound);
  return found;
}
