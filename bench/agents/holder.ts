/** A worker whose handlers hold their slot until their signal fires, and note when it does. */
import { machineNow } from "../harness/figures/clock.js";
import { Worker } from "../harness/processes/poolmesh.js";

let worker: InstanceType<typeof Worker> | undefined;
const firedAt: number[] = [];

export async function start(options: {
  servers: readonly string[];
  pool: string;
  id: string;
  slots: number;
}): Promise<void> {
  const { servers, pool, id, slots } = options;
  worker = new Worker({
    pool,
    id,
    slots,
    codec: "bytes",
    run: ({ signal }) => {
      return new Promise((_, reject) => {
        const onAbort = (): void => {
          firedAt.push(machineNow());
          reject(signal.reason);
        };
        signal.addEventListener("abort", onAbort, { once: true });
      });
    },
    servers: servers[0] as string,
  });
  await worker.start();
}

/** When signals fired, by the machine's clock, since the last call. */
export async function takeFired(): Promise<number[]> {
  return firedAt.splice(0);
}

/** How many slots hold a job. */
export async function busy(): Promise<number> {
  return worker?.busy ?? 0;
}

export async function stop(): Promise<void> {
  await worker?.stop();
}
