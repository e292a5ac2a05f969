/**
 * Waits until workers are READY: from then on they get jobs.
 *
 * A manager that serves everybody is asked whom it sees. One with TLS or a policy is
 * not: the workers themselves are, and it hears the same heartbeats.
 */
import { setTimeout as delay } from "node:timers/promises";
import { WorkerState } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { PoolError } from "../../mesh/errors.js";
import { rollCall } from "../control/roll-call.js";
import type { Link } from "../link.js";

const POLL_MS = 25;
const READY = "WORKER_STATE_READY";

interface ListAnswer {
  readonly workers?: readonly { readonly heartbeat?: { readonly worker?: string; readonly state?: string } }[];
}

/** Says which workers are READY now. */
export type ReadyWorkers = () => Promise<ReadonlySet<string>>;

/**
 * Resolves when every one of `ids` is READY.
 *
 * @throws PoolError `deadline_exceeded` naming who is missing
 */
export async function awaitReadyWorkers(ready: ReadyWorkers, ids: readonly string[], limitMs: number): Promise<void> {
  const endAt = performance.now() + limitMs;
  let missing = ids;
  while (missing.length > 0) {
    const seen = await ready().catch(() => new Set<string>());
    missing = ids.filter((id) => !seen.has(id));
    if (missing.length === 0) return;
    if (performance.now() > endAt) {
      throw new PoolError("deadline_exceeded", `nobody sees ${missing.slice(0, 5).join(", ")} as READY`);
    }
    await delay(POLL_MS);
  }
}

/** Those that the manager at this URL sees. */
export async function readyAtManager(managerUrl: string): Promise<Set<string>> {
  const response = await fetch(`${managerUrl}/poolmesh.v1.ManagerService/ListWorkers`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: "{}",
    signal: AbortSignal.timeout(2_000),
  });
  const { workers = [] } = (await response.json()) as ListAnswer;
  return new Set(workers.filter((each) => each.heartbeat?.state === READY).map((each) => each.heartbeat?.worker ?? ""));
}

/** Those of a pool that answer on the broker. */
export async function readyOnBroker(link: Pick<Link, "bus" | "subjects">, pool: string): Promise<Set<string>> {
  const workers = await rollCall(link, pool);
  return new Set(workers.filter(({ state }) => state === WorkerState.READY).map(({ worker }) => worker));
}
