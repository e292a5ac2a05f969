/**
 * What a test file leaves behind fails it, by name: child processes, sockets,
 * listeners, timers.
 *
 * Call it once in a file: `leakGuard();`. It looks after everything that was
 * registered with clean-up.ts has run.
 */
import type { ChildProcess } from "node:child_process";
import type { Server, Socket } from "node:net";
import { cleanUpLast, WHOLE_FILE } from "./clean-up.js";
import { eventually } from "./wait.js";

/** How long what is on its way out has to go, in milliseconds. */
const LIMIT_MS = 5_000;
/** What counts. Pipes are left out: a child's go with it, and the runner's own stay. */
const KINDS = new Set(["ProcessWrap", "TCPSocketWrap", "TCPServerWrap", "Timeout", "FSEventWrap", "UDPWrap"]);

/** Fails the file when it ends with more than it has now. */
export function leakGuard(): void {
  const before = count();
  cleanUpLast(WHOLE_FILE, async () => {
    await eventually(() => leaks(before).length === 0, { limitMs: LIMIT_MS }).catch(() => {
      const error = new Error(`${process.argv[1]} left behind: ${[...leaks(before), ...handles()].join("; ")}`);
      letGo();
      throw error;
    });
  });
}

/** What is there now beyond `before`, such as "2 Timeout"; empty when nothing is. */
export function leaks(before: ReadonlyMap<string, number>): string[] {
  return [...count()]
    .filter(([kind, n]) => n > (before.get(kind) ?? 0))
    .map(([kind, n]) => `${n - (before.get(kind) ?? 0)} ${kind}`);
}

/** What keeps this process alive, counted by kind. */
export function count(): Map<string, number> {
  const result = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) {
    if (KINDS.has(kind)) result.set(kind, (result.get(kind) ?? 0) + 1);
  }
  return result;
}

/** How many subscriptions a connection holds. */
export function subscriptionCount(nc: object): number {
  const inner = nc as unknown as { protocol: { subscriptions: { size(): number } } };
  return inner.protocol.subscriptions.size();
}

/** So that a file that leaks ends with its failure instead of hanging. */
function letGo(): void {
  for (const handle of activeHandles()) (handle as Partial<Socket>).unref?.();
}

function activeHandles(): object[] {
  return (process as unknown as { _getActiveHandles(): object[] })._getActiveHandles();
}

function handles(): string[] {
  return activeHandles().flatMap((handle) => {
    const { pid, spawnfile } = handle as ChildProcess;
    if (spawnfile !== undefined) return [`process ${pid} ${spawnfile}`];
    const { remotePort, localPort } = handle as Socket;
    if (remotePort !== undefined) return [`socket ${localPort} to ${remotePort}`];
    const { listening } = handle as Server;
    return listening ? [`listener ${JSON.stringify((handle as Server).address())}`] : [];
  });
}
