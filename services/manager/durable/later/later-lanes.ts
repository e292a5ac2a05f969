/**
 * The jobs for later of one manager's pools.
 *
 * Decided here: the stream of a pool is made with the first job for later, by whichever
 * manager stores it. The others look for it now and then, and move what is due from then on.
 */
import type { CronChange } from "../../../../client/durable/crons.js";
import { isTooOld, NEEDS, unsupported } from "../../../../mesh/durable/broker-needs.js";
import type { EnqueueParts, StoredJob } from "../../../../mesh/durable/enqueue.js";
import type { Cron } from "../../../../mesh/durable/later/cron.js";
import { listCrons } from "../../../../mesh/durable/later/list-crons.js";
import { PoolError, toPoolError } from "../../../../mesh/errors.js";
import type { Logger } from "../../../../mesh/process/log.js";
import type { Provisioning } from "../provision.js";
import { removeCron, setCron } from "./cron-store.js";
import { DueMover } from "./due-mover.js";
import { LaterQuota } from "./later-quota.js";
import { provisionLater } from "./provision-later.js";
import { type NewLaterJob, scheduleJob } from "./schedule-job.js";

/** What it works with. */
export interface LaterLanesParts extends EnqueueParts {
  /** This manager's id. */
  readonly manager: string;
  /** Runs `work` with as many copies as the cluster can hold. */
  readonly provision: (work: (parts: Provisioning) => Promise<void>) => Promise<void>;
  /** Whether a job of another pool may follow one of this manager. */
  readonly mayFollow: (pool: string) => boolean;
  readonly log: Logger;
}

/** How often a manager looks whether another one has made a pool's stream, in milliseconds. */
const LOOK_EVERY_MS = 10_000;
/** When a stream of which nobody answers is looked for again, in milliseconds. */
const AGAIN_MS = 1_000;

interface Later {
  readonly quota: LaterQuota;
  /** Undefined until the stream is there. */
  mover: DueMover | undefined;
  /** The stream is there, as far as is known. */
  isOpen: boolean;
  lookAtMs: number;
  opening: Promise<void> | undefined;
}

export class LaterLanes {
  readonly #parts: LaterLanesParts;
  readonly #pools = new Map<string, Later>();
  #stopped = false;

  constructor(parts: LaterLanesParts) {
    this.#parts = parts;
  }

  /** Stores a job for later, in a pool whose lane is open. @throws PoolError */
  async schedule(job: NewLaterJob): Promise<StoredJob> {
    const later = this.#of(job.pool);
    if (!later.isOpen) await this.#open(job.pool, later);
    const restore = (): Promise<void> => this.#open(job.pool, later);
    return scheduleJob({ ...this.#parts, quota: later.quota, restore }, job);
  }

  /** Sets a cron schedule, in a pool whose lane is open. @throws PoolError */
  async setCron(pool: string, cron: Cron): Promise<CronChange> {
    const { bus, mayFollow } = this.#parts;
    const version = bus.nc.info?.version;
    if (isTooOld(version, NEEDS.cron)) throw unsupported("schedule", NEEDS.cron, version);
    const stranger = cron.job.then.find((next) => !mayFollow(next.pool));
    if (stranger !== undefined) {
      const message = `then: the manager does not serve pool ${stranger.pool}`;
      throw new PoolError("permission_denied", message, { field: "then" });
    }
    const later = this.#of(pool);
    if (!later.isOpen) await this.#open(pool, later);
    return setCron(this.#parts, pool, cron);
  }

  /** @throws PoolError `not_found` */
  removeCron(pool: string, name: string): Promise<void> {
    return removeCron(this.#parts, pool, name);
  }

  /** By name. @throws PoolError */
  listCrons(pool: string): Promise<Cron[]> {
    return listCrons(this.#parts, pool);
  }

  /** Called every 100 milliseconds. @param pools those whose lane is open here */
  tick(pools: Iterable<string>, nowMs: number): void {
    if (this.#stopped) return;
    const open = new Set(pools);
    for (const [pool, { mover }] of this.#pools) {
      if (open.has(pool)) continue;
      this.#pools.delete(pool);
      void mover?.finish();
    }
    for (const pool of open) {
      const later = this.#of(pool);
      later.mover?.tick(nowMs);
      if (!later.isOpen && nowMs >= later.lookAtMs) this.#look(pool, later, nowMs);
    }
  }

  /** The connection is gone or was, and the open pulls with it. */
  forget(): void {
    for (const { mover } of this.#pools.values()) mover?.forget();
  }

  /** Moves nothing more. */
  drain(): void {
    this.#stopped = true;
    for (const { mover } of this.#pools.values()) mover?.drain();
  }

  /** Resolves when the open pulls are over. */
  async finish(): Promise<void> {
    this.drain();
    await Promise.all([...this.#pools.values()].map(({ mover }) => mover?.finish()));
  }

  #of(pool: string): Later {
    const known = this.#pools.get(pool);
    if (known !== undefined) return known;
    const { names, store, bus } = this.#parts;
    const quota = new LaterQuota({ pool, names, store, runtime: bus.runtime });
    const later = { quota, mover: undefined, isOpen: false, lookAtMs: Number.NEGATIVE_INFINITY, opening: undefined };
    this.#pools.set(pool, later);
    return later;
  }

  /** What cannot be looked for now is looked for the next time. */
  #look(pool: string, later: Later, nowMs: number): void {
    const { bus, store, names, log } = this.#parts;
    if (!bus.connected) return;
    later.lookAtMs = nowMs + LOOK_EVERY_MS;
    const openIfThere = async (): Promise<void> => {
      if ((await store.streamInfo(names.laterStream(pool))) !== undefined) await this.#open(pool, later);
    };
    void openIfThere().catch((thrown: unknown) => {
      if (later.mover !== undefined) later.lookAtMs = bus.runtime.now() + AGAIN_MS;
      if (bus.connected) log.warn({ pool, why: toPoolError(thrown).message }, "jobs for later are not moved here");
    });
  }

  #open(pool: string, later: Later): Promise<void> {
    later.opening ??= this.#openNow(pool, later).finally(() => {
      later.opening = undefined;
    });
    return later.opening;
  }

  async #openNow(pool: string, later: Later): Promise<void> {
    const { bus, provision } = this.#parts;
    await provision((parts) => provisionLater(parts, pool, bus.nc.info?.version));
    if (this.#stopped || this.#pools.get(pool) !== later) return;
    later.isOpen = true;
    if (later.mover !== undefined) return later.mover.resume();
    later.mover = new DueMover({ ...this.#parts, pool, onMissing: () => this.#onMissing(later) });
  }

  /** Perhaps only nobody answers: it is looked for again. A stream that was deleted is made by the next job for later. */
  #onMissing(later: Later): void {
    later.isOpen = false;
    later.lookAtMs = this.#parts.bus.runtime.now() + AGAIN_MS;
  }
}
