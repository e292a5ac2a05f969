/**
 * The rig of a fault scenario: real brokers and real processes, callers in this
 * one, and a history of all of it. Everything ends with its owner.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Broker } from "../../../broker/broker.js";
import { Client, type ClientOptions } from "../../../client/client.js";
import { Manager, type ManagerOptions } from "../../../services/manager/manager.js";
import { connectBus, startBroker, startCluster, startThree } from "../../support/broker.js";
import { cleanUp, type Owner } from "../../support/clean-up.js";
import { programFile } from "../../support/program-file.js";
import { TcpProxy } from "../../support/proxy/tcp-proxy.js";
import { eventually } from "../../support/wait.js";
import { History } from "../history.js";
import { Caller } from "./caller.js";
import { LaneCaller } from "./lane-caller.js";
import { MeterView } from "./meter-view.js";
import { Observer } from "./observer.js";
import { POOL } from "./pool.js";
import { Service, type ServiceEnv, type ServiceKind } from "./service.js";

/** What a worker process is started with. */
export interface WorkerSetUp {
  readonly slots?: number;
  /** Default inline. */
  readonly isolation?: "inline" | "thread" | "process";
  /** Another address than the broker's own, such as a proxy's. */
  readonly via?: string;
  readonly graceMs?: number;
  /** Of its Node, such as a module to load first. */
  readonly nodeOptions?: string;
  readonly env?: ServiceEnv;
}

/** What a manager or meter process is started with. */
export interface ServiceSetUp {
  readonly via?: string;
  /** Of its Node, such as a module to load first. */
  readonly nodeOptions?: string;
  readonly env?: ServiceEnv;
}

const HANDLER = programFile("./handler", import.meta.url);

/** How a rig begins. */
export interface RigOptions {
  readonly brokers: 0 | 1 | 3;
  readonly quick: boolean;
  /** Managers have the durable lane; default false. */
  readonly lane?: boolean;
}

/** One scenario's world. */
export class Rig {
  readonly owner: Owner;
  readonly history: History;
  readonly observer: Observer;
  /** Small loads. */
  readonly quick: boolean;
  brokers: readonly Broker[] = [];
  readonly #services = new Map<string, Service>();
  readonly #slots = new Map<string, number>();
  readonly #callers: Caller[] = [];
  readonly #lane: boolean;
  #placed = 0;

  /** Starts `brokers` brokers, one or a cluster, and listens. */
  static async start(owner: Owner, options: RigOptions): Promise<Rig> {
    const folder = await mkdtemp(join(tmpdir(), "poolmesh-faults-"));
    cleanUp(owner, () => rm(folder, { recursive: true, force: true }));
    const history = new History(join(folder, "history.ndjson"));
    cleanUp(owner, () => history.close());
    const { quick, lane = false } = options;
    const rig = new Rig(owner, history, quick, lane);
    if (options.brokers === 1) await rig.useBrokers([await startBroker(owner, { jetStream: lane })]);
    if (options.brokers === 3 && lane) await rig.useThree();
    else if (options.brokers === 3) await rig.useBrokers((await startCluster(owner, 3)).brokers);
    return rig;
  }

  private constructor(owner: Owner, history: History, quick: boolean, lane: boolean) {
    this.owner = owner;
    this.history = history;
    this.observer = new Observer(history);
    this.quick = quick;
    this.#lane = lane;
  }

  /** Takes brokers that run, and listens. */
  async useBrokers(brokers: readonly Broker[]): Promise<void> {
    this.brokers = brokers;
    await this.observer.listen(await connectBus(this.owner, this.broker));
  }

  /** Takes three brokers with JetStream. */
  async useThree(extraConfig = ""): Promise<void> {
    await this.useBrokers(await startThree(this.owner, extraConfig));
  }

  /** The first broker. */
  get broker(): Broker {
    const [first] = this.brokers;
    if (first === undefined) throw new Error("no broker was started");
    return first;
  }

  /** A number for a scenario: small in the quick form. */
  scale(quick: number, full: number): number {
    return this.quick ? quick : full;
  }

  /** A worker process, not ready yet. */
  spawnWorker(id: string, setUp: WorkerSetUp = {}): Service {
    const { slots = 1, isolation = "inline", graceMs = 5_000, via, nodeOptions, env } = setUp;
    this.history.add({ kind: "worker", worker: id, slots });
    this.#slots.set(id, slots);
    return this.#spawn(
      "worker",
      id,
      via,
      {
        POOL,
        HANDLER,
        SLOTS: String(slots),
        ISOLATION: isolation,
        GRACE_MS: String(graceMs),
        ...env,
      },
      nodeOptions,
    );
  }

  /** A worker process that is ready. */
  worker(id: string, setUp: WorkerSetUp = {}): Promise<Service> {
    return this.spawnWorker(id, setUp).ready();
  }

  /** A manager process, not ready yet. */
  spawnManager(id: string, { via, env, nodeOptions }: ServiceSetUp = {}): Service {
    const lane = this.#lane ? { DURABLE: "true" } : {};
    const all = { LISTEN: "127.0.0.1:0", GRACE_MS: "5000", ...lane, ...env };
    return this.#spawn("manager", id, via, all, nodeOptions);
  }

  /** A manager process that is ready. */
  manager(id: string, setUp: ServiceSetUp = {}): Promise<Service> {
    return this.spawnManager(id, setUp).ready();
  }

  /** A meter process, not ready yet. */
  spawnMeter(id: string, { via, env }: ServiceSetUp = {}): Service {
    return this.#spawn("meter", id, via, { LISTEN: "127.0.0.1:0", ...env });
  }

  /** A meter process that is ready. */
  meter(id: string, setUp: ServiceSetUp = {}): Promise<Service> {
    return this.spawnMeter(id, setUp).ready();
  }

  /** What a meter shows. */
  view(meter: Service): MeterView {
    return new MeterView(meter.url, POOL, this.history);
  }

  /** A proxy in front of a broker, by default the first. */
  async proxy(url = this.broker.url): Promise<TcpProxy> {
    const proxy = new TcpProxy(url);
    cleanUp(this.owner, () => proxy.stop());
    await proxy.start();
    return proxy;
  }

  /** A caller that needs a manager somewhere. */
  async client(options: ClientOptions = {}): Promise<Caller> {
    const client = await Client.connect({ pool: POOL, servers: this.nextUrl(), ...options });
    cleanUp(this.owner, () => client.close());
    return this.#keep(new Caller(this.history, client));
  }

  /** A caller that is its own manager. */
  async embedded(options: ManagerOptions = {}): Promise<Caller & { readonly submitter: Manager }> {
    const jobStart: NonNullable<ManagerOptions["hooks"]>["jobStart"] = ({ id, attemptNumber: attempt, worker }) =>
      this.history.add({ kind: "accepted", id, attempt, worker });
    const hooks = { ...options.hooks, jobStart };
    const manager = await Manager.connect({ pool: POOL, servers: this.nextUrl(), graceMs: 100, ...options, hooks });
    cleanUp(this.owner, () => manager.close());
    return this.#keep(new Caller(this.history, manager)) as Caller & { readonly submitter: Manager };
  }

  /** A caller that enqueues in the durable lane. */
  async laneCaller(options: ClientOptions = {}, via?: string): Promise<LaneCaller> {
    const servers = via === undefined ? this.brokers.map(({ url }) => url) : [via];
    const caller = new LaneCaller(this.history, servers, options);
    cleanUp(this.owner, () => caller.close());
    await caller.open();
    return caller;
  }

  /** Waits until a caller that is its own manager sees this many slots. */
  async sees(caller: { readonly submitter: Manager }, slots: number): Promise<void> {
    await eventually(() => caller.submitter.capacity.slots === slots, { what: `${slots} slots` });
  }

  /** Waits until the handlers of this many jobs have begun. */
  async begun(jobs: number): Promise<void> {
    const starts = () => new Set(this.history.of("start").map(({ id }) => id)).size;
    await eventually(() => starts() >= jobs, { limitMs: 20_000, pollMs: 20, what: `${jobs} jobs to begin` });
  }

  /** Services that run. */
  alive(): Service[] {
    return [...this.#services.values()].filter(({ process }) => !process.ended);
  }

  /** Slots of the workers that run, as configured. */
  slotsAlive(): number {
    return this.alive().reduce((sum, { name }) => sum + (this.#slots.get(name) ?? 0), 0);
  }

  /** Records what is seen once everything is at rest, or after the limit. */
  async rest(limitMs = 10_000): Promise<void> {
    const names = new Set(this.alive().map(({ name }) => name));
    const waiting = () => this.#callers.reduce((sum, caller) => sum + caller.waiting, 0);
    const seen = () => ({ ...this.observer.figures(names), waiting: waiting() });
    const wanted = { slots: this.slotsAlive(), busy: 0, parked: 0, inFlight: 0, waiting: 0 };
    const equal = () => JSON.stringify(seen()) === JSON.stringify(wanted);
    await eventually(equal, { limitMs }).catch(() => undefined);
    this.history.add({ kind: "rest", seen: seen(), wanted });
  }

  /** Ends every service that runs, as an operator would, and records how each went. */
  async end(): Promise<void> {
    await Promise.all(this.alive().map((service) => service.end()));
  }

  /** One broker's address after the other. */
  nextUrl(): string {
    const url = this.brokers[this.#placed % this.brokers.length]?.url;
    this.#placed += 1;
    if (url === undefined) throw new Error("no broker was started");
    return url;
  }

  #spawn(kind: ServiceKind, id: string, via: string | undefined, env: ServiceEnv, nodeOptions?: string): Service {
    const all = { ID: id, SERVERS: via ?? this.nextUrl(), ...env };
    const service = new Service(this.owner, this.history, kind, id, all, nodeOptions);
    this.#services.set(id, service);
    return service;
  }

  #keep<C extends Caller>(caller: C): C {
    this.#callers.push(caller);
    return caller;
  }
}
