/** Reads the cron schedules of a pool, by name. */
import { type Cron, toCron } from "./cron.js";
import type { LaterPlaces } from "./find-later.js";

/** Cron schedules of one pool. */
export const MAX_CRONS = 1_000;

/** @throws PoolError */
export async function listCrons({ names, store }: LaterPlaces, pool: string): Promise<Cron[]> {
  const crons: Cron[] = [];
  if ((await store.streamInfo(names.laterStream(pool))) === undefined) return crons;
  for (let from = 1; crons.length < MAX_CRONS; ) {
    const stored = await store.nextDecisive(names.laterStream(pool), names.everyLater("cron", pool), from);
    if (stored === undefined) break;
    crons.push(toCron(stored));
    from = stored.sequence + 1;
  }
  return crons.sort((a, b) => (a.name < b.name ? -1 : 1));
}
