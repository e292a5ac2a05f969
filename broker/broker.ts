/**
 * The embedded broker: a nats-server on loopback that lives as long as this
 * object, and never longer than this process.
 *
 * Decided here: its port, where its files are, and what happens when it dies. Not
 * decided here: how one run starts and ends (server-process.ts).
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PoolError } from "../mesh/errors.js";
import { Lifecycle } from "../mesh/process/lifecycle.js";
import { findServer } from "./find.js";
import { missingBinary } from "./missing.js";
import { type BrokerAuth, type BrokerCluster, type ServerConfig, serverConfigText } from "./server-config.js";
import { ServerProcess } from "./server-process.js";

/** How to run a broker. */
export interface BrokerOptions {
  /** Default "prefer-default": 4222 when it is free, else any. */
  port?: "prefer-default" | "any" | number;
  /** Path of nats-server; default the newest that is found. */
  binary?: string;
  serverName?: string;
  cluster?: BrokerCluster;
  /** Whether JetStream is on. Default true; false in a cluster, where JetStream needs more than routes. */
  jetStream?: boolean;
  /** Where JetStream stores; default a temporary folder that stop() removes. */
  storeFolder?: string;
  maxPayloadBytes?: number;
  auth?: BrokerAuth;
  /** More lines for the server's configuration file. */
  extraConfig?: string;
}

/** The port that the `nats` command tries by default. */
export const DEFAULT_PORT = 4222;

/** An embedded broker. `closed` settles with an error when it ends without a stop(). */
export class Broker extends Lifecycle {
  readonly #options: BrokerOptions;
  readonly #abort = new AbortController();
  #launching: Promise<void> | undefined;
  #server: ServerProcess | undefined;
  #binary = "";
  #folder = "";
  #port = -1;
  #clusterPort = -1;
  #crashing = false;

  constructor(options: BrokerOptions = {}) {
    super();
    this.#options = options;
  }

  /** Such as "nats://127.0.0.1:4222"; without user and password. */
  get url(): string {
    return this.#running.url;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** The process id of nats-server. */
  get pid(): number {
    return this.#running.pid;
  }

  /** Where other members connect to; undefined outside a cluster. */
  get clusterUrl(): string | undefined {
    return this.#running.clusterUrl;
  }

  /** Sends a signal to nats-server: SIGSTOP, SIGCONT, SIGHUP (reload), SIGUSR2 (lame duck). Says whether it runs. */
  signal(name: NodeJS.Signals): boolean {
    return this.#server?.signal(name) ?? false;
  }

  /** Ends nats-server without ending this broker, as a crash would. {@link revive} brings it back. */
  async crash(name: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const server = this.#running;
    this.#crashing = true;
    server.signal(name);
    await server.exited;
  }

  /** Starts nats-server again after {@link crash}: same port, same store. */
  async revive(): Promise<void> {
    if (this.state !== "running" || !this.#running.ended) throw new PoolError("internal", "revive() without crash()");
    this.#launching = this.#run(this.#port);
    await this.#launching;
  }

  protected async onStart(): Promise<void> {
    this.#launching = this.#launch();
    await this.#launching;
  }

  protected async onStop(): Promise<void> {
    this.#abort.abort();
    await this.#launching?.catch(() => undefined);
    await this.#server?.end();
    if (this.#folder !== "") await rm(this.#folder, { recursive: true, force: true });
  }

  get #running(): ServerProcess {
    if (this.#server === undefined) throw new PoolError("bus_unavailable", "the broker is not started");
    return this.#server;
  }

  async #launch(): Promise<void> {
    this.#binary = this.#options.binary ?? (await findServer())?.path ?? "";
    if (this.#binary === "") throw missingBinary("nats-server");
    this.#folder = await mkdtemp(join(tmpdir(), "poolmesh-broker-"));
    const wanted = this.#options.port ?? "prefer-default";
    if (wanted !== "prefer-default") return this.#run(wanted === "any" ? -1 : wanted);
    try {
      await this.#run(DEFAULT_PORT);
    } catch (error) {
      if (!isPortTaken(error)) throw error;
      await this.#run(-1);
    }
  }

  async #run(port: number): Promise<void> {
    const portsFolder = join(this.#folder, "ports");
    const configFile = join(this.#folder, "nats-server.conf");
    await writeFile(configFile, serverConfigText(await this.#config(port, portsFolder)), { mode: 0o600 });
    const server = await ServerProcess.launch({
      binary: this.#binary,
      configFile,
      portsFolder,
      privateFolder: this.#folder,
      signal: this.#abort.signal,
    });
    this.#crashing = false;
    this.#server = server;
    this.#port = this.port;
    if (server.clusterUrl !== undefined) this.#clusterPort = Number(new URL(server.clusterUrl).port);
    void server.exited.then((lastWords) => this.#onExit(lastWords));
  }

  async #config(port: number, portsFolder: string): Promise<ServerConfig> {
    const { serverName, cluster, maxPayloadBytes, auth, extraConfig } = this.#options;
    const jetStream = this.#options.jetStream ?? cluster === undefined;
    const storeFolder = this.#options.storeFolder ?? join(this.#folder, "store");
    if (jetStream) await mkdir(storeFolder, { recursive: true });
    return {
      port,
      portsFolder,
      ...(serverName === undefined ? {} : { serverName }),
      ...(jetStream ? { storeFolder } : {}),
      ...(cluster === undefined ? {} : { cluster: { ...cluster, port: this.#clusterPort } }),
      ...(maxPayloadBytes === undefined ? {} : { maxPayloadBytes }),
      ...(auth === undefined ? {} : { auth }),
      ...(extraConfig === undefined ? {} : { extra: extraConfig }),
    };
  }

  #onExit(lastWords: string): void {
    if (this.#crashing || this.state === "stopping" || this.state === "stopped") return;
    this.fail(new PoolError("bus_unavailable", `nats-server ended by itself: ${lastWords}`));
  }
}

function isPortTaken(error: unknown): boolean {
  return error instanceof PoolError && error.message.includes("address already in use");
}
