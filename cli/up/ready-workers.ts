/** Waits until a manager sees workers as READY: from then on they get jobs. */
import { setTimeout as delay } from "node:timers/promises";
import { PoolError } from "../../mesh/errors.js";

const POLL_MS = 25;
const READY = "WORKER_STATE_READY";

interface ListAnswer {
  readonly workers?: readonly { readonly heartbeat?: { readonly worker?: string; readonly state?: string } }[];
}

/**
 * Resolves when every one of `ids` is READY at the manager.
 *
 * @throws PoolError `deadline_exceeded` naming who is missing
 */
export async function awaitReadyWorkers(managerUrl: string, ids: readonly string[], limitMs: number): Promise<void> {
  const endAt = performance.now() + limitMs;
  let missing = ids;
  while (missing.length > 0) {
    const seen = await readyWorkers(managerUrl).catch(() => new Set<string>());
    missing = ids.filter((id) => !seen.has(id));
    if (missing.length === 0) return;
    if (performance.now() > endAt) {
      throw new PoolError("deadline_exceeded", `the manager does not see ${missing.slice(0, 5).join(", ")} as READY`);
    }
    await delay(POLL_MS);
  }
}

async function readyWorkers(managerUrl: string): Promise<Set<string>> {
  const response = await fetch(`${managerUrl}/poolmesh.v1.ManagerService/ListWorkers`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: "{}",
    signal: AbortSignal.timeout(2_000),
  });
  const { workers = [] } = (await response.json()) as ListAnswer;
  return new Set(workers.filter((each) => each.heartbeat?.state === READY).map((each) => each.heartbeat?.worker ?? ""));
}
