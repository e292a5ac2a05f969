/** A started worker of its own pool, and a caller to it; both end with the test. */
import { poolName } from "../../mesh/job/pool-definition.js";
import { Worker, type WorkerOptions } from "../../services/worker/worker.js";
import { connectBus, type Owner } from "./broker.js";
import { JobCaller } from "./core/job-caller.js";
import { loadTimeoutMs } from "./wait.js";

let pools = 0;

/** What a test works with. */
export interface StartedWorker<I = unknown, O = unknown> {
  readonly worker: Worker<I, O>;
  readonly pool: string;
  readonly caller: JobCaller;
}

/** Starts a worker "w1" of a new pool, without a grace unless `options` says so. */
export async function startWorker<I = unknown, O = unknown>(
  t: Owner,
  broker: { readonly url: string },
  options: Partial<WorkerOptions<I, O>>,
): Promise<StartedWorker<I, O>> {
  pools += 1;
  const pool = options.pool ?? `pool-${process.pid}-${pools}`;
  const name = poolName(pool);
  const worker = new Worker<I, O>({ id: "w1", servers: broker.url, graceMs: 0, loadTimeoutMs, ...options, pool });
  t.after(() => worker.stop());
  await worker.start();
  return { worker, pool: name, caller: new JobCaller(await connectBus(t, broker), name) };
}
