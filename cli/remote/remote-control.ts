/** drain, pause, resume and resize through a manager's HTTP interface, for those who have no connection to the broker. */
import { createClient, type Transport } from "@connectrpc/connect";
import type { Heartbeat } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { ManagerService } from "../../gen/poolmesh/v1/manager_pb.js";
import { PoolError } from "../../mesh/errors.js";
import type { Shell } from "../shell.js";
import type { ControlCommand, Selection } from "../sources/control.js";
import { remoteFailure } from "./remote-failure.js";
import type { RemoteFlags } from "./remote-options.js";
import { managerTransport } from "./transport.js";

/** Time on top of what a worker has, in milliseconds. */
const SLACK_MS = 5_000;

/**
 * Asks the manager at `url` and resolves with the state of each worker that was asked.
 *
 * @throws PoolError `invalid_argument`, what the manager refuses, `bus_unavailable` when nobody answers
 */
export async function controlRemote(
  shell: Shell,
  url: string,
  flags: RemoteFlags,
  selection: Selection,
  command: ControlCommand,
): Promise<Heartbeat[]> {
  const { pool, worker = "", labels, count = 0 } = selection;
  if (pool === undefined) throw new PoolError("invalid_argument", "pool: say --pool too with --url", { field: "pool" });
  try {
    return await ask(managerTransport(shell, url, flags), { pool, worker, labels: { ...labels }, count }, command);
  } catch (error) {
    throw remoteFailure(error, url);
  }
}

async function ask(
  transport: Transport,
  selector: { pool: string; worker: string; labels: Record<string, string>; count: number },
  { request, limitMs }: ControlCommand,
): Promise<Heartbeat[]> {
  const manager = createClient(ManagerService, transport);
  const options = { timeoutMs: limitMs + SLACK_MS };
  switch (request.case) {
    case "drain":
      return (await manager.drainWorker({ selector, wait: request.value.wait ?? false }, options)).workers;
    case "pause":
      return (await manager.pauseWorker({ selector }, options)).workers;
    case "resume":
      return (await manager.resumeWorker({ selector }, options)).workers;
    case "resize":
      return (await manager.resizeWorker({ selector, slots: request.value.slots ?? 0 }, options)).workers;
    default:
      throw new PoolError("internal", `no remote ${request.case}`);
  }
}
