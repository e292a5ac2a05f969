/** Single questions over HTTP, for those who have no connection to the broker. */
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { ManagerService } from "../../gen/poolmesh/v1/manager_pb.js";
import { MeterService } from "../../gen/poolmesh/v1/meter_pb.js";
import type { WorkerView } from "../../gen/poolmesh/v1/view_pb.js";
import { PoolError } from "../../mesh/errors.js";
import { compareNames } from "../../mesh/wire/worker-selection.js";
import { remoteFailure } from "./remote-failure.js";
import type { RemoteFlags } from "./remote-options.js";
import { remoteTransport } from "./transport.js";

/** How long an answer may take, in milliseconds. */
const ANSWER_LIMIT_MS = 5_000;

/**
 * Ends one job through the manager at `url`.
 *
 * @throws PoolError `not_found` when nobody has it, `permission_denied` for somebody else's job, `bus_unavailable`
 */
export async function cancelRemote(url: string, flags: RemoteFlags, pool: string, jobId: string): Promise<void> {
  const manager = createClient(ManagerService, remoteTransport(url, "url", flags));
  await within(url, (options) => manager.cancel({ pool, jobId }, options));
}

/**
 * The workers that a meter knows, or those of one pool that a manager knows, by pool and name.
 *
 * @throws PoolError `invalid_argument` for a manager without a pool, `unauthenticated`, `permission_denied`, `bus_unavailable`
 */
export async function listRemote(url: string, flags: RemoteFlags, pool: string | undefined): Promise<WorkerView[]> {
  const transport = remoteTransport(url, "url", flags);
  const views = await within(url, async (options) => {
    const meter = createClient(MeterService, transport);
    try {
      return (await meter.listWorkers({ pool: pool ?? "" }, options)).workers;
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Unimplemented) throw error;
    }
    if (pool === undefined) {
      throw new PoolError("invalid_argument", "pool: a manager lists one: name it, or ask a meter", { field: "pool" });
    }
    return (await createClient(ManagerService, transport).listWorkers({ pool }, options)).workers;
  });
  return [...views].sort(byName);
}

function byName({ heartbeat: a }: WorkerView, { heartbeat: b }: WorkerView): number {
  return compareNames(a?.pool ?? "", b?.pool ?? "") || compareNames(a?.worker ?? "", b?.worker ?? "");
}

/** @throws PoolError what the server says, or `bus_unavailable` when it says nothing in time */
export async function within<T>(url: string, call: (options: { timeoutMs: number }) => Promise<T>): Promise<T> {
  try {
    return await call({ timeoutMs: ANSWER_LIMIT_MS });
  } catch (error) {
    const failure = remoteFailure(error, url);
    if (failure.reason !== "deadline_exceeded") throw failure;
    const text = `no answer from ${new URL(url).origin} within ${ANSWER_LIMIT_MS / 1_000} s`;
    throw new PoolError("bus_unavailable", text, { cause: error });
  }
}
