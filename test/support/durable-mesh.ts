/** A broker and a manager with the durable lane, for the tests of one file, and pools of one worker each. */
import { Client } from "../../client/client.js";
import { DurableLane } from "../../client/durable/operator.js";
import { ManagerService, type ManagerServiceOptions } from "../../services/manager/service.js";
import { type Handler, Worker, type WorkerOptions } from "../../services/worker/worker.js";
import { type Owner, startBroker, WHOLE_FILE } from "./broker.js";
import { cleanUp } from "./clean-up.js";
import { eventually } from "./wait.js";

/** What a test file works with. */
export interface DurableMesh {
  readonly servers: string;
  readonly service: ManagerService;
  /** A worker, a client and an operator of a new pool, once its lane is there. */
  readonly startPool: (
    t: Owner,
    pool: string,
    run: Handler<unknown, unknown>,
    options: Pick<WorkerOptions, "slots" | "graceMs">,
  ) => Promise<[Client, DurableLane]>;
}

/** A manager with the durable lane at a broker, stopped when `t` ends. @param more what differs from the defaults */
export async function startDurableManager(
  t: Owner,
  servers: string,
  more: Partial<ManagerServiceOptions> = {},
): Promise<ManagerService> {
  const listen = { host: "127.0.0.1", port: 0 };
  const service = new ManagerService({ bus: { servers }, listen, graceMs: 100, durable: true, ...more });
  cleanUp(t, () => service.stop());
  await service.start();
  return service;
}

/** @param more what differs from the defaults of its manager */
export async function startDurableMesh(more: Partial<ManagerServiceOptions> = {}): Promise<DurableMesh> {
  const broker = await startBroker(WHOLE_FILE);
  const servers = broker.url;
  const service = await startDurableManager(WHOLE_FILE, servers, more);
  // The broker goes first: a manager that still has it waits until its open pulls are over.
  cleanUp(WHOLE_FILE, () => broker.stop());
  const startPool: DurableMesh["startPool"] = async (t, pool, run, options) => {
    const worker = new Worker({ pool, id: `${pool}-worker`, run, servers, ...options });
    cleanUp(t, () => worker.stop());
    await worker.start();
    const client = await Client.connect({ pool, servers });
    cleanUp(t, () => client.close());
    const lane = await DurableLane.open({ pool, servers });
    cleanUp(t, () => lane.close());
    await eventually(() => service.pools?.durable?.of(service.pools?.get(pool)) !== undefined);
    return [client, lane];
  };
  return { servers, service, startPool };
}
