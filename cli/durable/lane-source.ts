/** Where commands that look at stored jobs ask: the streams themselves, or a manager over HTTP. */
import { type JobPage, type JobPageOptions, listJobs } from "../../client/durable/job-list.js";
import { type JobLookup, JobReads } from "../../client/durable/job-reads.js";
import type { DurableLane } from "../../client/durable/operator.js";
import { DurableNames } from "../../mesh/durable/names.js";
import type { LanePause } from "../../mesh/durable/pause/lane-pause.js";
import { type PauseParts, pausePool, resumePool } from "../../mesh/durable/pause/pool-pause.js";
import { type LanesView, readLanes } from "../../mesh/durable/shown/lanes-view.js";
import { LaneStore } from "../../mesh/durable/store.js";
import { type Link, withLink } from "../link.js";
import { ownToken, readRemote, type UrlFlags } from "../remote/remote-options.js";
import type { Shell } from "../shell.js";
import type { LaneSource } from "../sources/durable.js";
import { limitedJobs } from "./limited-jobs.js";

/** What to do about a pool without a lane. */
export const START_HINT = "; start a manager with --durable";

/**
 * Runs `work` with what the flags name: a manager with --url, else the broker.
 *
 * @param how `controls`: the work needs the right to control, so a manager on this machine is shown the control token
 * @throws PoolError
 */
export async function withLaneSource<T>(
  shell: Shell,
  flags: UrlFlags & Readonly<Record<string, unknown>>,
  work: (source: LaneSource) => Promise<T>,
  { controls = false }: { readonly controls?: boolean } = {},
): Promise<T> {
  const remote = readRemote(shell, flags);
  if (remote.url !== undefined) {
    const { RemoteLane } = await import("../remote/durable/remote-lane.js");
    return work(new RemoteLane(remote.url, remote, controls ? ownToken(shell, remote.url, remote) : undefined));
  }
  return withLink(shell, { ...flags, pool: undefined }, (link) => work(new StreamLane(link)));
}

/**
 * What a list of a pool has. An empty one of a pool without a lane is an error: its name may be wrong.
 *
 * @throws PoolError `unknown_pool`
 */
export async function listOrNoLane<T>(
  lane: Pick<DurableLane, "figures">,
  list: () => Promise<readonly T[]>,
): Promise<T[]> {
  const found = [...(await list())];
  if (found.length === 0) await lane.figures();
  return found;
}

class StreamLane implements LaneSource {
  readonly #link: Link;
  readonly #names: DurableNames;
  readonly #store: LaneStore;

  constructor(link: Link) {
    this.#link = link;
    this.#names = new DurableNames(link.subjects.prefix);
    this.#store = new LaneStore(link.bus);
  }

  page(pool: string, options: JobPageOptions): Promise<JobPage> {
    return listJobs(this.#parts(pool), options);
  }

  lookup(pool: string, id: string): Promise<JobLookup> {
    return new JobReads(this.#parts(pool)).lookup(id);
  }

  async lanes(pool: string | undefined): Promise<LanesView> {
    const { lanes, streams } = await readLanes(this.#store, this.#names, pool, START_HINT);
    const told = lanes.map(async (lane) => ({
      ...lane,
      limited: await limitedJobs(this.#link, this.#names, lane.pool, lane.delivered),
    }));
    return { lanes: await Promise.all(told), streams };
  }

  pause(pool: string, forMs: number | undefined): Promise<LanePause> {
    return pausePool(this.#pauseParts, pool, forMs, this.#link.bus.runtime.wallNow());
  }

  resume(pool: string): Promise<void> {
    return resumePool(this.#pauseParts, pool);
  }

  get #pauseParts(): PauseParts {
    return { names: this.#names, store: this.#store, brokerVersion: this.#link.bus.nc.info?.version };
  }

  #parts(pool: string) {
    const { bus, inbox } = this.#link;
    return { pool, bus, inbox, names: this.#names, store: this.#store };
  }
}
