/** Waiting for a condition, with a limit. */
import { setTimeout as delay } from "node:timers/promises";

const POLL_MS = 10;
const LIMIT_MS = 30_000;

/** Resolves when `check` is true; an exception counts as false. */
export async function untilTrue(check: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  for (;;) {
    if (await attempt(check)) return;
    if (performance.now() > end) throw new Error(`not within ${LIMIT_MS / 1_000} s: ${what}`);
    await delay(POLL_MS);
  }
}

async function attempt(check: () => boolean | Promise<boolean>): Promise<boolean> {
  try {
    return await check();
  } catch {
    return false;
  }
}
