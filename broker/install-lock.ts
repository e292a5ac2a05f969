/**
 * One installer at a time in a folder. The lock file holds the process id of its
 * owner, so the lock of a process that has ended is ignored.
 */
import { open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { PoolError } from "../mesh/errors.js";

const WAIT_LIMIT_MS = 10 * 60_000;
const POLL_MS = 200;

/**
 * Runs `work` while no other process runs its own for this folder.
 *
 * @throws PoolError `bus_unavailable` when another one holds the lock for ten minutes
 */
export async function withInstallLock<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const file = join(folder, ".install.lock");
  await take(file);
  try {
    return await work();
  } finally {
    await rm(file, { force: true });
  }
}

async function take(file: string): Promise<void> {
  const end = performance.now() + WAIT_LIMIT_MS;
  while (performance.now() < end) {
    if (await tryToTake(file)) return;
    if (await isStale(file)) await rm(file, { force: true });
    else await delay(POLL_MS);
  }
  throw new PoolError(
    "bus_unavailable",
    "another process has been installing nats-server for ten minutes; remove its lock file if it hangs",
  );
}

async function tryToTake(file: string): Promise<boolean> {
  try {
    const handle = await open(file, "wx");
    await handle.writeFile(String(process.pid));
    await handle.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

async function isStale(file: string): Promise<boolean> {
  const owner = Number(await readFile(file, "utf8").catch(() => ""));
  if (!Number.isInteger(owner) || owner <= 0) return false;
  try {
    process.kill(owner, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}
