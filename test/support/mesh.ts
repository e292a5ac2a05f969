/**
 * A whole mesh in this process: a real broker, a manager and a meter as
 * services, and workers as tests ask for them. All of it ends with its owner.
 */
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { Broker, BrokerOptions } from "../../broker/broker.js";
import { WorkerState } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { ManagerService as ManagerServiceDesc } from "../../gen/poolmesh/v1/manager_pb.js";
import { ManagerService, type ManagerServiceOptions } from "../../services/manager/service.js";
import { Meter, type MeterOptions } from "../../services/meter/meter.js";
import { Worker, type WorkerOptions } from "../../services/worker/worker.js";
import { startBroker } from "./broker.js";
import { cleanUp, type Owner, WHOLE_FILE } from "./clean-up.js";
import { bearControl, CONTROL_TOKEN } from "./doors/control-token.js";
import { eventually } from "./wait.js";

/** What differs from the defaults. */
export interface MeshOptions {
  broker?: BrokerOptions;
  manager?: Partial<ManagerServiceOptions>;
  meter?: Partial<MeterOptions>;
}

const ANY_PORT = { host: "127.0.0.1", port: 0 };

/** A running mesh. */
export class Mesh {
  readonly broker: Broker;
  readonly manager: ManagerService;
  readonly meter: Meter;
  /** ManagerService over Connect. */
  readonly client: Client<typeof ManagerServiceDesc>;
  readonly #owner: Owner;

  constructor(owner: Owner, broker: Broker, manager: ManagerService, meter: Meter) {
    this.#owner = owner;
    this.broker = broker;
    this.manager = manager;
    this.meter = meter;
    const transport = createConnectTransport({ baseUrl: manager.url, httpVersion: "1.1", interceptors: [bearControl] });
    this.client = createClient(ManagerServiceDesc, transport);
  }

  /** The broker's URL. */
  get natsUrl(): string {
    return this.broker.url;
  }

  /** "127.0.0.1:PORT" of the manager, as gRPC clients want it. */
  get managerAddress(): string {
    return new URL(this.manager.url).host;
  }

  /** "127.0.0.1:PORT" of the meter. */
  get meterAddress(): string {
    return new URL(this.meter.url).host;
  }

  /** Starts a worker, READY when this resolves; it is stopped when `t` ends, by default with the mesh. */
  async addWorker<I, O>(options: WorkerOptions<I, O>, t: Owner = this.#owner): Promise<Worker<I, O>> {
    const worker = new Worker<I, O>({ graceMs: 0, ...options, servers: this.natsUrl, ...options.bus });
    cleanUp(t, () => worker.stop());
    await worker.start();
    return worker;
  }

  /** Waits until the manager sees `slots` slots of READY workers in `pool`, `busy` of them busy; default any. */
  async untilCapacity(pool: string, slots: number, busy?: number): Promise<void> {
    let seen = "";
    const check = async (): Promise<boolean> => {
      const counts = await this.#counts(pool);
      seen = JSON.stringify(counts);
      return counts.slots === slots && (busy === undefined || counts.busy === busy);
    };
    await eventually(check, { what: `${slots} slots, ${busy ?? "any"} busy` }).catch((error: Error) => {
      throw new Error(`${error.message}; last seen: ${seen}`);
    });
  }

  async #counts(pool: string): Promise<{ slots: number; busy: number }> {
    const { workers } = await this.client.listWorkers({ pool });
    const ready = workers.flatMap(({ heartbeat }) => (heartbeat?.state === WorkerState.READY ? [heartbeat] : []));
    return { slots: sum(ready.map((each) => each.slots)), busy: sum(ready.map((each) => each.busy)) };
  }
}

/** Starts broker, manager and meter; ready when this resolves. */
export async function startMesh(t: Owner = WHOLE_FILE, options: MeshOptions = {}): Promise<Mesh> {
  const broker = await startBroker(t, options.broker);
  const bus = { servers: broker.url };
  const manager = new ManagerService({
    bus,
    listen: ANY_PORT,
    graceMs: 0,
    controlToken: CONTROL_TOKEN,
    ...options.manager,
  });
  cleanUp(t, () => manager.stop());
  const meter = new Meter({ bus, listen: ANY_PORT, ...options.meter });
  cleanUp(t, () => meter.stop());
  await Promise.all([manager.start(), meter.start()]);
  return new Mesh(t, broker, manager, meter);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
