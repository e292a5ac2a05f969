/**
 * A whole mesh in a test's process: a manager, workers and clients, on a simulated network and clock.
 *
 * Managers, workers and clients are the real ones; NATS, the network and the time are those of Poolmesh's own
 * simulator. There is no broker, no port and no waiting: what is due happens at once, and time goes on only by
 * advance().
 */
import { Client, type ClientOptions } from "../client/client.js";
import { type PoolDefinition, poolName } from "../mesh/job/pool-definition.js";
import type { Bus } from "../mesh/link/bus.js";
import { ServiceApi } from "../mesh/link/service-api.js";
import { newIncarnation, packageVersion } from "../mesh/process/identity.js";
import { SERVICE_NAMES } from "../mesh/wire/subjects.js";
import { type EngineOptions, toPoolSettings } from "../services/manager/manager.js";
import { Pools } from "../services/manager/pools.js";
import { type Handler, Worker, type WorkerOptions } from "../services/worker/worker.js";
import { SimNetwork } from "./nats/network.js";
import { Pump } from "./pump.js";
import { SteppedWorld } from "./sim/sim-world.js";
import { BROKER, TestProcess } from "./test-process.js";

/** How a mesh is made. */
export interface TestMeshOptions {
  /** Chance of the mesh: the same seed gives the same draws; default 1. */
  seed?: number;
  /** Options of its manager, such as `parkedLimit`. */
  manager?: EngineOptions;
}

/** Options of a worker beside its pool and handler. */
export type TestWorkerOptions = Omit<
  WorkerOptions,
  "pool" | "run" | "handlerFile" | "exec" | "isolation" | "recycleAfter" | "bus" | "connection" | "servers" | "prefix"
>;

/** Options of a client beside its pool. */
export type TestClientOptions = Pick<ClientOptions, "timeoutMs" | "log">;

/** A worker of a TestMesh. */
export class TestWorker extends TestProcess {
  worker!: Worker;
}

/** How far time goes on at once while a result is awaited, and at most, in milliseconds. */
const STEP_MS = 10;
const MANAGER = "manager";
const DEFAULT_LIMIT_MS = 60_000;

export class TestMesh {
  readonly #world: SteppedWorld;
  readonly #network: SimNetwork;
  readonly #pump: Pump;
  readonly #processes: TestProcess[] = [];
  readonly #clients: Client[] = [];
  #manager: TestProcess | undefined;

  private constructor({ seed = 1 }: TestMeshOptions) {
    this.#world = new SteppedWorld({ seed });
    this.#network = new SimNetwork(this.#world);
    this.#network.addBroker(BROKER);
    this.#pump = new Pump(this.#world);
  }

  /** Starts a mesh with one manager. */
  static async start(options: TestMeshOptions = {}): Promise<TestMesh> {
    const mesh = new TestMesh(options);
    await mesh.#startManager(options.manager ?? {});
    return mesh;
  }

  /** Simulated milliseconds since the start. */
  get now(): number {
    return this.#world.now();
  }

  /** The manager's process: it can be killed, suspended and cut off. */
  get manager(): TestProcess {
    return this.#manager as TestProcess;
  }

  /** Starts a worker. @param pool a name, or the definition of a typed pool */
  async worker<I, O>(
    // biome-ignore lint/suspicious/noExplicitAny: what callers of the pool see does not matter here
    pool: string | PoolDefinition<any, I, O, any>,
    run: Handler<I, O>,
    options: TestWorkerOptions = {},
  ): Promise<TestWorker> {
    const id = options.id ?? `worker-${this.#processes.length}`;
    const process = this.#add(new TestWorker(this.#world, this.#network, id));
    const connection = await process.connect();
    const worker = new Worker<I, O>({ ...options, pool, run, id, connection });
    process.worker = worker as unknown as Worker;
    await worker.start();
    await this.#pump.settle();
    return process;
  }

  /** A client that is connected, of a pool by its name or definition. */
  async client(pool: string | PoolDefinition, options: TestClientOptions = {}): Promise<Client> {
    const process = this.#add(new TestProcess(this.#world, this.#network, `client-${this.#processes.length}`));
    const client = new Client({ ...options, pool: poolName(pool), connection: await process.connect() });
    await client.start();
    this.#clients.push(client);
    return client;
  }

  /** Lets simulated time go on; resolves when all that is due by then has happened. */
  advance(ms: number): Promise<void> {
    return this.#pump.advance(ms);
  }

  /** Resolves when all that is due now has happened. */
  settle(): Promise<void> {
    return this.#pump.settle();
  }

  /** Resolves after so many simulated milliseconds: for handlers that take time. It lets no time pass. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#world.at(this.#world.now() + ms, resolve));
  }

  /**
   * Lets time go on until a promise settles, and gives its value or error.
   *
   * @param limitMs at most so many simulated milliseconds; default 60,000
   * @throws Error when it is not settled by then
   */
  async until<T>(promise: Promise<T>, limitMs: number = DEFAULT_LIMIT_MS): Promise<T> {
    let settled = false;
    const mark = (): void => {
      settled = true;
    };
    promise.then(mark, mark);
    const endMs = this.now + limitMs;
    await this.settle();
    while (!settled && this.now < endMs) await this.advance(Math.min(STEP_MS, endMs - this.now));
    if (!settled) throw new Error(`not settled after ${limitMs} simulated milliseconds`);
    return promise;
  }

  /** Closes the clients, whose jobs end as `canceled`, and ends all processes. */
  async stop(): Promise<void> {
    for (const client of this.#clients) void client.close();
    await this.settle();
    for (const process of this.#processes) process.kill();
    this.#pump.stop();
  }

  async #startManager(options: EngineOptions): Promise<void> {
    const process = this.#add(new TestProcess(this.#world, this.#network, MANAGER));
    this.#manager = process;
    const bus: Bus = await process.connect();
    const settings = toPoolSettings(options);
    const pools = new Pools({ bus, id: MANAGER, servesSubmit: true, settings, maxPools: 1_000, graceMs: 0 });
    await pools.start();
    // clients ask it whether their manager is still there
    const incarnation = String(newIncarnation(bus.runtime.wallNow(), bus.runtime.random));
    await new ServiceApi({
      bus,
      name: SERVICE_NAMES.manager,
      id: MANAGER,
      version: packageVersion(),
      metadata: { incarnation },
      endpoints: () => [],
    }).start();
  }

  #add<P extends TestProcess>(process: P): P {
    this.#processes.push(process);
    return process;
  }
}
