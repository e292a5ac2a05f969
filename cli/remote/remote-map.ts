/** `poolmesh map --url`: the same run, through a manager's HTTP interface. */
import { PoolError } from "../../mesh/errors.js";
import type { SubmitOptions } from "../../mesh/job/job.js";
import { type MapFlags, MapRun } from "../jobs/map/map-run.js";
import { PatientStarter } from "../jobs/map/patient-starter.js";
import type { Source } from "../jobs/map/sources.js";
import type { Scout } from "../jobs/pool-scout.js";
import { remoteDoubtOf, WaitNote } from "../jobs/wait-note.js";
import type { Shell } from "../shell.js";
import { RemoteJobs } from "./remote-jobs.js";
import type { RemoteFlags } from "./remote-options.js";

/** A run, and where it goes. */
export interface RemoteMap {
  readonly shell: Shell;
  readonly url: string;
  readonly remote: RemoteFlags;
  readonly pool: string;
  readonly flags: MapFlags;
  readonly source: Source;
  readonly submitOptions: SubmitOptions;
}

/** Runs it. @returns the exit code. @throws PoolError `bus_unavailable`, `unauthenticated`, `permission_denied`, `unknown_pool` */
export async function mapRemote(map: RemoteMap): Promise<number> {
  const { shell, url, pool, flags, source } = map;
  const jobs = new RemoteJobs(url, map.remote, pool);
  await jobs.reach();
  try {
    const starter = new PatientStarter(jobs, map.submitOptions, flags.waitForPool);
    const scoutOf = (onUnknown: (error: PoolError) => void) =>
      flags.waitForPool
        ? new WaitNote(shell, remoteDoubtOf(url, map.remote, pool))
        : takesItsWord(url, pool, onUnknown);
    return await new MapRun(shell, pool, flags, source, scoutOf).run(starter, map.submitOptions);
  } finally {
    jobs.close();
  }
}

/** The manager is the one who knows: nobody else can be asked. */
function takesItsWord(url: string, pool: string, onUnknown: (error: PoolError) => void): Scout {
  const text = `the manager at ${new URL(url).origin} has heard of no worker of pool ${pool}`;
  return {
    begin: () => undefined,
    confirm: async () => onUnknown(new PoolError("unknown_pool", text, { field: "pool" })),
    stop: () => undefined,
  };
}
