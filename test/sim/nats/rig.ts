/** A small world for tests of the model: brokers, and clients that note what they get. */
import type { Msg, PublishOptions } from "nats";
import type { SimConnection } from "../../../testing/nats/client/sim-connection.js";
import { type BrokerOptions, type ConnectOptions, SimNetwork } from "../../../testing/nats/network.js";
import { SimulatedProcess } from "../../../testing/sim/sim-process.js";
import { SimWorld } from "../world-clock.js";

/** What a rig has. */
export interface RigOptions {
  readonly seed?: number;
  /** Default 1. */
  readonly brokers?: number;
  readonly broker?: BrokerOptions;
}

/** A client of a rig. */
export class RigClient {
  readonly process: SimulatedProcess;
  readonly connection: SimConnection;
  /** What came, as "time subject text" or "time subject status code", and statuses as "time status"; times in whole ms. */
  readonly seen: string[] = [];
  readonly #world: SimWorld;

  constructor(world: SimWorld, process: SimulatedProcess, connection: SimConnection) {
    this.#world = world;
    this.process = process;
    this.connection = connection;
    void this.#watch();
  }

  subscribe(subject: string, queue?: string): void {
    const callback = (_: Error | null, msg: Msg): void => {
      const code = msg.headers?.code ?? 0;
      this.#note(code === 0 ? `${msg.subject} ${msg.string()}` : `${msg.subject} status ${code}`);
    };
    this.connection.subscribe(subject, { callback, ...(queue === undefined ? {} : { queue }) });
  }

  publish(subject: string, text = "", options: PublishOptions = {}): void {
    this.connection.publish(subject, Buffer.from(text), options);
  }

  /** What it has seen, without times. */
  get texts(): string[] {
    return this.seen.map((line) => line.slice(line.indexOf(" ") + 1));
  }

  async #watch(): Promise<void> {
    for await (const { type } of this.connection.status()) if (type !== "ping" && type !== "update") this.#note(type);
  }

  #note(line: string): void {
    this.seen.push(`${Math.round(this.#world.now())} ${line}`);
  }
}

/** A world with brokers "b0", "b1" and so on. */
export class Rig {
  readonly world: SimWorld;
  readonly network: SimNetwork;

  constructor({ seed = 1, brokers = 1, broker = {} }: RigOptions = {}) {
    this.world = new SimWorld({ seed });
    this.network = new SimNetwork(this.world);
    for (let i = 0; i < brokers; i += 1) this.network.addBroker(`b${i}`, broker);
  }

  /** A client that is connected; its world goes on meanwhile. */
  async client(name: string, options: ConnectOptions = {}): Promise<RigClient> {
    const process = new SimulatedProcess(this.world, { name, seed: 1 });
    let connection: SimConnection | undefined;
    void this.network.connect(process, options).then((made) => {
      connection = made;
    });
    await this.run(10);
    if (connection === undefined) throw new Error(`${name} is not connected`);
    return new RigClient(this.world, process, connection);
  }

  /** Lets `ms` simulated milliseconds pass. A world runs in a macrotask: promises go on within it. */
  run(ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      setImmediate(() => {
        try {
          this.world.run(this.world.now() + ms);
          resolve();
        } catch (error) {
          reject(error);
        }
      });
    });
  }
}
