/** A script on the model: time is simulated. */
import type { Connection } from "../../../../mesh/link/connection.js";
import { type Permissions, SimNetwork } from "../../../../testing/nats/network.js";
import { SimulatedProcess } from "../../../../testing/sim/sim-process.js";
import { SimWorld } from "../../world-clock.js";
import type { Stage } from "./play.js";
import type { ClientOptions, Script, ScriptPermissions } from "./script.js";

const SETTLE_MS = 200;
const STEP_MS = 5;
const LIMIT_MS = 60_000;
const CONNECT_ONCE_MS = 500;
/** Until a broker that was started again has found the others. */
const CLUSTER_WHOLE_MS = 2_000;
/** As the real stage has it. */
const GRACE_MS = 20_000;

/** The model as a stage. */
export class ModelStage implements Stage {
  readonly #world: SimWorld;
  readonly #network: SimNetwork;
  readonly #processes = new Map<string, SimulatedProcess>();
  readonly #limited: SimulatedProcess[] = [];
  readonly #script: Script;

  constructor(script: Script, seed: number) {
    this.#script = script;
    this.#world = new SimWorld({ seed });
    this.#network = new SimNetwork(this.#world);
    for (let i = 0; i < (script.brokers ?? 1); i += 1) {
      this.#network.addBroker(`b${i}`, script.maxPayload === undefined ? {} : { maxPayload: script.maxPayload });
    }
    if (script.jetStream) this.#network.enableJetStream();
  }

  async connect(client: string, options: ClientOptions, once: boolean): Promise<Connection | undefined> {
    const process = new SimulatedProcess(this.#world, { name: client, seed: 1 });
    this.#processes.set(client, process);
    if (options.limited) this.#limited.push(process);
    if (options.limited) this.#network.setPermissions(process, rulesOf(this.#script.permissions ?? {}));
    let connection: Connection | undefined;
    void this.#network
      .connect(process, {
        servers: [`b${options.at ?? 0}`],
        pingIntervalMs: options.pingIntervalMs ?? 60_000,
        ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
      })
      .then((made) => {
        connection = made;
      });
    if (once) await this.#run(CONNECT_ONCE_MS);
    else await this.until(() => connection !== undefined, `${client} connects`);
    return connection;
  }

  nameOf(server: string): string {
    return server;
  }

  wires(client: string, what: "hold" | "release" | "reset"): void {
    const process = this.#processes.get(client) as SimulatedProcess;
    if (what === "hold") this.#network.holdLink(process);
    else if (what === "release") this.#network.releaseLink(process);
    else this.#network.resetLink(process);
  }

  async broker(number: number, what: "kill" | "pause" | "resume" | "lameDuck"): Promise<void> {
    const name = `b${number}`;
    if (what === "kill") this.#network.killBroker(name);
    else if (what === "pause") this.#network.pauseBroker(name);
    else if (what === "resume") this.#network.resumeBroker(name);
    else this.#network.lameDuck(name, { graceMs: this.#script.graceMs ?? GRACE_MS });
  }

  async start(number: number, maxPayload: number | undefined): Promise<void> {
    this.#network.startBroker(`b${number}`, maxPayload === undefined ? {} : { maxPayload });
    if ((this.#script.brokers ?? 1) > 1) await this.#run(CLUSTER_WHOLE_MS);
  }

  async permit(permissions: ScriptPermissions): Promise<void> {
    for (const process of this.#limited) this.#network.setPermissions(process, rulesOf(permissions));
  }

  async addStream(name: string, subjects: readonly string[]): Promise<void> {
    this.#network.addStream(name, subjects);
  }

  async removeStream(name: string): Promise<void> {
    this.#network.removeStream(name);
  }

  async until(check: () => boolean, what: string): Promise<void> {
    const end = this.#world.now() + LIMIT_MS;
    while (!check()) {
      if (this.#world.now() > end) throw new Error(`not within ${LIMIT_MS} simulated ms: ${what}`);
      await this.#run(STEP_MS);
    }
  }

  settle(): Promise<void> {
    return this.#run(SETTLE_MS);
  }

  /** A world runs in a macrotask: promises go on within it. */
  #run(ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      setImmediate(() => {
        try {
          this.#world.run(this.#world.now() + ms);
          resolve();
        } catch (error) {
          reject(error);
        }
      });
    });
  }
}

function rulesOf({ publish, subscribe }: ScriptPermissions): Permissions {
  return {
    ...(publish === undefined ? {} : { publish: { allow: publish } }),
    ...(subscribe === undefined ? {} : { subscribe: { allow: subscribe } }),
  };
}
