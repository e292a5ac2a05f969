/** Where commands that look at stored jobs ask: the streams themselves, or a manager over HTTP. */
import { type JobPage, type JobPageOptions, listJobs } from "../../client/durable/job-list.js";
import { type JobLookup, JobReads } from "../../client/durable/job-reads.js";
import { type LanesView, readLanes } from "../../mesh/durable/lanes-view.js";
import { DurableNames } from "../../mesh/durable/names.js";
import { LaneStore } from "../../mesh/durable/store.js";
import { type Link, withLink } from "../link.js";
import { readRemote, type UrlFlags } from "../remote/remote-options.js";
import type { Shell } from "../shell.js";

/** What can be asked. Each rejects with a PoolError. */
export interface LaneSource {
  page(pool: string, options: JobPageOptions): Promise<JobPage>;
  lookup(pool: string, id: string): Promise<JobLookup>;
  /** @param pool undefined for all pools, and the streams that they share */
  lanes(pool: string | undefined): Promise<LanesView>;
}

/** Runs `work` with what the flags name: a manager with --url, else the broker. @throws PoolError */
export async function withLaneSource<T>(
  shell: Shell,
  flags: UrlFlags & Readonly<Record<string, unknown>>,
  work: (source: LaneSource) => Promise<T>,
): Promise<T> {
  const remote = readRemote(shell, flags);
  if (remote.url !== undefined) {
    const { RemoteLane } = await import("../remote/remote-lane.js");
    return work(new RemoteLane(remote.url, remote));
  }
  return withLink(shell, { ...flags, pool: undefined }, (link) => work(new StreamLane(link)));
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

  lanes(pool: string | undefined): Promise<LanesView> {
    return readLanes(this.#store, this.#names, pool, "; start a manager with --durable");
  }

  #parts(pool: string) {
    const { bus, inbox } = this.#link;
    return { pool, bus, inbox, names: this.#names, store: this.#store };
  }
}
