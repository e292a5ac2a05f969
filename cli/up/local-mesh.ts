/**
 * A whole mesh on this machine, each part a supervised process.
 *
 * The composition root of `up`. Starts the broker, then everything else at
 * once; stops workers first, since they finish what they have, then manager,
 * meter and broker, so that results still find their way.
 */

import { PoolError } from "../../mesh/errors.js";
import { Bus, type BusOptions } from "../../mesh/link/bus.js";
import { Inbox } from "../../mesh/link/inbox.js";
import { BROKER_USER, keepBrokerPassword } from "../../mesh/process/files/broker-file.js";
import { Lifecycle } from "../../mesh/process/lifecycle.js";
import type { Listen } from "../../mesh/process/options.js";
import { defaultId } from "../../mesh/process/process.js";
import { Subjects } from "../../mesh/wire/subjects.js";
import { MANAGER_LISTEN } from "../../services/manager/config.js";
import { METER_LISTEN } from "../../services/meter/config.js";
import type { Invocation } from "../shell.js";
import { freePort } from "./free-port.js";
import type { LogLine } from "./log-line.js";
import type { MeshPids } from "./ready-line.js";
import { awaitReadyWorkers, readyAtManager, readyOnBroker } from "./ready-workers.js";
import { Restarts } from "./restarts.js";
import { type ServiceSpec, Supervised } from "./supervised.js";
import { type BrokerStarter, SupervisedBroker } from "./supervised-broker.js";
import { type ServiceName, serviceArgs, serviceEnv, type UpConfig, type UpFlags } from "./up-options.js";

/** What a mesh is made of. */
export interface LocalMeshOptions {
  readonly self: Invocation;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly config: UpConfig;
  /** The declared flags that were given, as text. */
  readonly flags: Readonly<Record<string, string | undefined>>;
  readonly own: UpFlags;
  readonly workers: number;
  /** At least 1. The first has the address that was asked for, the others any port. */
  readonly managers: number;
  /** Undefined: a broker runs already, at config.servers. */
  readonly startBroker: BrokerStarter | undefined;
  /** Of the broker that is started: nobody without it is a member of the mesh. */
  readonly brokerPassword: string;
  readonly bus: BusOptions;
  /** Log level of the services: "info" at least, since their readiness is read from it. */
  readonly logLevel: "info" | "debug";
  readonly onLine: (service: string, line: LogLine | string) => void;
  readonly onEvent: (text: string) => void;
}

/** How much longer than its grace a service may take to end, in milliseconds. */
const STOP_SLACK_MS = 5_000;
/** How long workers may take to be READY at the manager once they say so, in milliseconds. */
const SEEN_LIMIT_MS = 30_000;

export class LocalMesh extends Lifecycle {
  readonly workerIds: readonly string[];
  readonly #options: LocalMeshOptions;
  readonly #subjects: Subjects;
  #broker: SupervisedBroker | undefined;
  #bus: Bus | undefined;
  #manager: Supervised | undefined;
  /** All but the first. */
  #moreManagers: readonly Supervised[] = [];
  #meter: Supervised | undefined;
  #workers: ReadonlyMap<string, Supervised> = new Map();
  #restarts: Restarts | undefined;
  #forgetPassword: () => void = () => {};

  constructor(options: LocalMeshOptions) {
    super();
    this.#options = options;
    this.#subjects = new Subjects(options.config.prefix);
    const base = options.config.id ?? withoutPid(defaultId());
    this.workerIds = Array.from({ length: options.workers }, (_, i) => `${base}-${i + 1}`);
  }

  get urls(): { readonly nats: string; readonly manager: string; readonly meter: string } {
    const nats = this.#broker?.url ?? this.#options.config.servers.join(",");
    return { nats, manager: this.#manager?.url ?? "", meter: this.#meter?.url ?? "" };
  }

  /** Process ids now. */
  get pids(): MeshPids {
    const more = this.#moreManagers.map(({ pid }) => pid);
    return {
      ...(this.#broker === undefined ? {} : { nats: this.#broker.pid }),
      manager: this.#manager?.pid ?? 0,
      ...(more.length === 0 ? {} : { moreManagers: more }),
      meter: this.#meter?.pid ?? 0,
      workers: [...this.#workers.values()].map(({ pid }) => pid),
    };
  }

  /** Kills every process at once. */
  kill(): void {
    for (const service of this.#services()) service.kill();
    this.#broker?.kill();
  }

  protected override async onStart(): Promise<void> {
    const { startBroker, onEvent } = this.#options;
    if (startBroker !== undefined) {
      this.#broker = new SupervisedBroker(startBroker, onEvent);
      await this.#watch(this.#broker);
      this.#keepPassword(Number(new URL(this.#broker.url).port));
    }
    this.#bus = await Bus.connect({ ...this.#busOptions(), servers: this.#servers, name: "poolmesh-up" });
    void this.#bus.closed.then((error) => error !== undefined && this.fail(error));
    await this.#startServices();
    await this.#untilReady(this.#bus, this.workerIds);
    this.#restarts = this.#makeRestarts(this.#bus);
    this.#restarts?.open();
  }

  protected override async onStop(): Promise<void> {
    this.#restarts?.close();
    await Promise.all([...this.#workers.values()].map((worker) => worker.stop()));
    await Promise.all([this.#manager, ...this.#moreManagers].map((manager) => manager?.stop()));
    await this.#meter?.stop();
    await this.#bus?.close();
    await this.#broker?.stop();
    this.#forgetPassword();
  }

  /** Without a folder to keep it in the mesh works, and only its own services reach its broker. */
  #keepPassword(port: number): void {
    const { env, brokerPassword, onEvent } = this.#options;
    try {
      this.#forgetPassword = keepBrokerPassword(env, port, brokerPassword);
    } catch (error) {
      const why = (error as Error).message;
      onEvent(`other programs do not find the broker's credential (${why}); name a folder in XDG_STATE_HOME`);
    }
  }

  /** The broker's URLs, with its credential when it is embedded. */
  get #servers(): string {
    const { nats } = this.urls;
    return this.#broker === undefined ? nats : nats.replace("//", `//${BROKER_USER}:${this.#options.brokerPassword}@`);
  }

  /** Credentials that were said are for another broker than an embedded one. */
  #busOptions(): BusOptions {
    if (this.#broker === undefined) return this.#options.bus;
    const { servers: _servers, user, password, token, credsFile, nkeyFile, ...rest } = this.#options.bus;
    const wasSaid = [user, password, token, credsFile, nkeyFile].some((each) => each !== undefined);
    if (wasSaid) this.#options.onEvent("the credential that was named is not used: this broker has one of its own");
    return rest;
  }

  async #startServices(): Promise<void> {
    if (this.state !== "starting") throw new PoolError("canceled", "stopped while starting");
    const { own, managers } = this.#options;
    const { managerListen, meterListen } = own;
    this.#manager = this.#service(
      "manager",
      "manager",
      listenArgs(managerListen, MANAGER_LISTEN),
      isAny(managerListen),
    );
    const anyPort = listenArgs({ host: managerListen?.host ?? MANAGER_LISTEN.host, port: 0 }, MANAGER_LISTEN);
    this.#moreManagers = Array.from({ length: managers - 1 }, (_, i) =>
      this.#service("manager", `manager ${i + 2}`, anyPort, true),
    );
    this.#meter = this.#service("meter", "meter", listenArgs(meterListen, METER_LISTEN), isAny(meterListen));
    this.#workers = new Map(
      this.workerIds.map((id) => [id, this.#service("worker", `worker ${id}`, async () => ["--id", id])]),
    );
    await Promise.all([...this.#services()].map((service) => this.#watch(service)));
  }

  #service(service: ServiceName, name: string, more: ServiceSpec["args"], mayMove = false): Supervised {
    const { self, env, flags, config, logLevel, onLine, onEvent } = this.#options;
    const fixed = [service, ...serviceArgs(service, flags), "--log-level", logLevel];
    const spec: ServiceSpec = {
      name,
      self,
      args: async (lastUrl, anyPort) => [...fixed, ...(await more(lastUrl, anyPort))],
      mayMove,
      env: serviceEnv(env, flags, this.#servers, this.#broker !== undefined),
      mayLeave: service === "worker",
      stopLimitMs: config.graceMs + STOP_SLACK_MS,
      onLine: (line) => onLine(name, line),
      onEvent,
    };
    return new Supervised(spec);
  }

  /** Starts a part; when it ends for good by an error, so does the mesh. */
  async #watch(part: Lifecycle): Promise<void> {
    void part.closed.then((error) => error !== undefined && this.fail(error));
    await part.start();
  }

  #makeRestarts(bus: Bus): Restarts | undefined {
    const { pool } = this.#options.config;
    if (pool === undefined) return undefined;
    const link = { bus, inbox: new Inbox(bus), subjects: this.#subjects };
    return new Restarts(link, pool, this.#workers, (id) => this.#untilReady(bus, [id]));
  }

  #untilReady(bus: Bus, ids: readonly string[]): Promise<void> {
    const { policyFile, tlsCertFile, pool = "" } = this.#options.config;
    const isOpen = policyFile === undefined && tlsCertFile === undefined;
    const link = { bus, subjects: this.#subjects };
    const ready = () => (isOpen ? readyAtManager(this.urls.manager) : readyOnBroker(link, pool));
    return awaitReadyWorkers(ready, ids, SEEN_LIMIT_MS);
  }

  *#services(): Iterable<Supervised> {
    yield* this.#workers.values();
    if (this.#manager !== undefined) yield this.#manager;
    yield* this.#moreManagers;
    if (this.#meter !== undefined) yield this.#meter;
  }
}

/** Workers outlive their processes, so the process id has no place in their names. */
function withoutPid(id: string): string {
  return id.replace(/-\d+-(?=[^-]*$)/, "-");
}

/** Whether nobody has asked for a certain port. */
function isAny(asked: Listen | undefined): boolean {
  return asked === undefined || asked.port === 0;
}

/** The address that was asked for, or the default one when its port is free, else any port. */
function listenArgs(asked: Listen | undefined, preferred: Listen): ServiceSpec["args"] {
  return async (lastUrl, anyPort) => {
    if (asked !== undefined && (asked.port !== 0 || lastUrl === "")) return ["--listen", address(asked, asked.port)];
    if (anyPort) return ["--listen", address(asked ?? preferred, 0)];
    const host = asked?.host ?? preferred.host;
    const wanted = lastUrl === "" ? preferred.port : portOf(new URL(lastUrl));
    return ["--listen", address({ host, port: 0 }, await freePort(host, wanted))];
  };
}

/** A URL leaves out the port that is usual for its scheme. */
function portOf({ protocol, port }: URL): number {
  if (port !== "") return Number(port);
  return protocol === "https:" ? 443 : 80;
}

function address({ host }: Listen, port: number): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
