/** How a worker shows in the NATS service API: one service with one endpoint, its pool's jobs. */
import { Isolation } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import type { Bus } from "../../mesh/link/bus.js";
import { ServiceApi } from "../../mesh/link/service-api.js";
import { packageVersion } from "../../mesh/process/identity.js";
import { QUEUE_WORKERS, SERVICE_NAMES } from "../../mesh/wire/subjects.js";
import type { JobTotals } from "./jobs/running-jobs.js";
import type { WorkerSettings } from "./worker-options.js";

/** Makes the responder; `totals` is asked when an answer is made. */
export function makeServiceEntry(
  bus: Bus,
  { id, pool, subjects }: WorkerSettings,
  isolation: Isolation,
  totals: () => JobTotals,
): ServiceApi {
  const runsIn = Isolation[isolation].toLowerCase();
  return new ServiceApi({
    bus,
    id,
    name: SERVICE_NAMES.worker,
    version: packageVersion(),
    description: `worker of pool ${pool}`,
    metadata: { pool, worker: id, isolation: runsIn },
    endpoints: () => {
      const { acceptedTotal, failedTotal, lastError, busyMs } = totals();
      return [
        {
          name: "job",
          subject: subjects.job(pool),
          queueGroup: QUEUE_WORKERS,
          requests: acceptedTotal,
          errors: failedTotal,
          lastError,
          processingMs: busyMs,
          data: { dropped_replies: bus.droppedReplies.total, refused_by_broker: bus.refusals },
        },
      ];
    },
  });
}
