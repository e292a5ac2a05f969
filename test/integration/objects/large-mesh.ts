/** A mesh whose broker takes little in one message, so that a payload of some kilobytes is a large one. */

import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "nats";
import type { Broker } from "../../../broker/broker.js";
import { Client, type ClientOptions } from "../../../client/client.js";
import { ManagerService } from "../../../services/manager/service.js";
import { Worker, type WorkerOptions } from "../../../services/worker/worker.js";
import { type Owner, startBroker, WHOLE_FILE } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { eventually } from "../../support/wait.js";

/** What the broker of these tests takes in one message, in bytes. */
export const SMALL_BYTES = 16 * 1024;
/** Larger than that, and of several chunks. */
export const LARGE_BYTES = 100_000;

/** Bytes that are not all alike. */
export function largeBytes(length = LARGE_BYTES, seed = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8) * seed) & 255);
}

export interface LargeMesh {
  readonly broker: Broker;
  readonly service: ManagerService;
  readonly worker: (t: Owner, options: WorkerOptions) => Promise<Worker>;
  readonly client: (t: Owner, pool: string, options?: ClientOptions) => Promise<Client>;
  /** Messages in a bucket; 0 when it is not there. */
  readonly messagesIn: (bucket: string) => Promise<number>;
  /** Deletes all that is in a bucket. */
  readonly empty: (bucket: string) => Promise<void>;
}

export async function startLargeMesh(): Promise<LargeMesh> {
  const broker = await startBroker(WHOLE_FILE, { maxPayloadBytes: SMALL_BYTES });
  const servers = broker.url;
  const listen = { host: "127.0.0.1", port: 0 };
  const service = new ManagerService({ bus: { servers }, listen, graceMs: 100, durable: true });
  cleanUp(WHOLE_FILE, () => service.stop());
  await service.start();
  const nc = (await connect({ servers })) as NatsConnection;
  cleanUp(WHOLE_FILE, () => nc.close());
  cleanUp(WHOLE_FILE, () => broker.stop());
  const { streams } = await jetstreamManager(nc);
  return {
    broker,
    service,
    worker: async (t, options) => {
      const worker = new Worker({ graceMs: 100, largePayloads: true, ...options, servers });
      cleanUp(t, () => worker.stop());
      await worker.start();
      return worker;
    },
    client: async (t, pool, options) => {
      const client = await Client.connect({ pool, servers, largePayloads: true, ...options });
      cleanUp(t, () => client.close());
      await eventually(() => service.pools?.durable?.of(service.pools?.get(pool)) !== undefined);
      return client;
    },
    messagesIn: (bucket) =>
      streams.info(`OBJ_${bucket}`).then(
        ({ state }) => state.messages,
        () => 0,
      ),
    empty: async (bucket) => {
      await streams.purge(`OBJ_${bucket}`);
    },
  };
}
