/**
 * The durable lane of one manager: the lanes of its pools, and where jobs are enqueued through it.
 *
 * Decided here: which pools have one, when streams are created, and the order in
 * which the lane stops: no new pulls, what runs ends within the grace, what is
 * left goes back, and then the open pulls run out.
 */

import type { ManagerHeartbeat } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { enqueue, type StoredJob } from "../../../mesh/durable/enqueue.js";
import type { HeldJob } from "../../../mesh/durable/held-job.js";
import type { HeldList } from "../../../mesh/durable/held-list.js";
import { instantOf } from "../../../mesh/durable/later/run-time.js";
import type { HeldBack } from "../../../mesh/durable/limits/held-back.js";
import { DurableNames } from "../../../mesh/durable/names.js";
import type { LanePause } from "../../../mesh/durable/pause/lane-pause.js";
import { type PauseParts, pausePool, resumePool } from "../../../mesh/durable/pause/pool-pause.js";
import { StreamPublisher } from "../../../mesh/durable/publisher.js";
import { type LaneFigures, laneFigures } from "../../../mesh/durable/shown/figures.js";
import { LaneStore } from "../../../mesh/durable/store.js";
import { withCopies } from "../../../mesh/durable/streams.js";
import { toPoolError, unknownPool } from "../../../mesh/errors.js";
import type { Bus } from "../../../mesh/link/bus.js";
import type { Inbox } from "../../../mesh/link/inbox.js";
import { delay, type Timer } from "../../../mesh/link/runtime.js";
import type { Logger } from "../../../mesh/process/log.js";
import { isKnownPool } from "../doors/unknown-pool.js";
import type { Pool } from "../pool/pool.js";
import { LaneBatches } from "./batches/lane-batches.js";
import { discard } from "./discard.js";
import type { Delivery as HeldDelivery } from "./held.js";
import { type AskedJob, LaneDoors } from "./lane-doors.js";
import { LaterLanes } from "./later/later-lanes.js";
import { LaneLimits } from "./limits/lane-limits.js";
import { PoolLimits } from "./limits/pool-limits.js";
import { PoolLane } from "./pool-lane.js";
import { type Provisioning, provisionPool, provisionShared, untilProvisioned } from "./provision.js";
import { Takeover } from "./takeover/takeover.js";
import { AllHeldBack } from "./told/held-back.js";
import { QueueLengths } from "./told/queue-lengths.js";

/** What it works with. */
export interface DurableLaneParts {
  readonly bus: Bus;
  readonly prefix: string;
  /** This manager's id. */
  readonly manager: string;
  /** For this manager's own questions; once it has started. */
  readonly inbox: () => Inbox;
  readonly pools: () => Iterable<Pool>;
  /** The pools that it serves; undefined for all. */
  readonly served: readonly string[] | undefined;
  /** Also take jobs from `pool.P.enqueue`. */
  readonly servesEnqueue: boolean;
  /** A pool by name. @throws PoolError */
  readonly get: (name: string) => Pool;
  /** The other managers that are there, by pool. */
  readonly others: (pool: string) => readonly string[];
  readonly log: Logger;
}

const TICK_MS = 100;
/** After a failure to create streams, in milliseconds. */
const RETRY_MS = 1_000;
/** How long what has ended may take to be stored at the end, in milliseconds. */
const SETTLE_LIMIT_MS = 3_000;
const SETTLE_CHECK_MS = 20;

export class DurableLane {
  readonly names: DurableNames;
  readonly store: LaneStore;
  readonly publisher: StreamPublisher;
  readonly #parts: DurableLaneParts;
  readonly #lanes = new Map<Pool, PoolLane>();
  /** Pools whose streams are being created. */
  readonly #opening = new Map<Pool, Promise<void>>();
  /** Pools whose streams are being made again. */
  readonly #restoring = new Set<Pool>();
  readonly #offBus: (() => void)[];
  readonly #doors: LaneDoors;
  readonly #later: LaterLanes;
  readonly #queues: QueueLengths;
  readonly #heldBack: AllHeldBack;
  /** Who sets the limits of pools, and which there are. */
  readonly limits: LaneLimits;
  readonly batches: LaneBatches;
  #takeover: Takeover | undefined;
  #ticker: Timer | undefined;
  #retryAtMs = 0;
  #stopping = false;

  constructor(parts: DurableLaneParts) {
    const { bus, prefix } = parts;
    this.#parts = parts;
    this.names = new DurableNames(prefix);
    this.store = new LaneStore(bus);
    this.publisher = new StreamPublisher(bus);
    const { names, store, publisher } = this;
    this.#queues = new QueueLengths({ names, store, onMissing: (pool) => void this.#restore(pool) });
    const provision = <T>(work: (parts: Provisioning) => Promise<T>) => this.#provision(work);
    this.limits = new LaneLimits({ bus, names, store, publisher, provision, ensure: (pool) => this.ensure(pool) });
    const mayFollow = (next: string): boolean => this.#mayFollow(next);
    const ensure = (pool: string): Promise<void> => this.ensure(pool);
    this.batches = new LaneBatches({ ...parts, names, store, publisher, provision, ensure, mayFollow });
    this.#doors = new LaneDoors({
      limits: this.limits,
      batches: this.batches,
      bus,
      names,
      enqueue: async (job) => {
        await this.ensure(job.pool);
        return this.enqueue(job);
      },
      discard: (pool, id) => discard({ ...parts, names, store, publisher, batches: this.batches }, pool, id),
      pause: (pool, forMs) => this.pause(pool, forMs),
      resume: (pool) => this.resume(pool),
      crons: (pool) => this.ensure(pool).then(() => this.crons),
      find: (pool, id) => this.#find(pool, id),
      heldBack: (pool) => this.heldBack(pool),
    });
    this.#heldBack = new AllHeldBack({ own: (pool) => this.#ownHeldBack(pool), others: parts.others });
    this.#offBus = [
      bus.on("reconnect", () => {
        this.#each((lane) => lane.onReconnect());
        this.batches.onReconnect();
        this.#later.forget();
      }),
      bus.on("disconnect", () => {
        this.#each((lane) => lane.onDisconnect());
        this.#later.forget();
      }),
    ];
    this.#later = new LaterLanes({ ...parts, names, store, publisher, provision, mayFollow });
  }

  /** Stores a job: at once, or for later when its time has not come. @throws PoolError */
  enqueue(job: AskedJob): Promise<StoredJob> {
    const { bus } = this.#parts;
    const { names, store, publisher } = this;
    const nowMs = bus.runtime.wallNow();
    const runAt = job.time === undefined ? nowMs : instantOf(job.time, nowMs);
    if (runAt <= nowMs) return enqueue({ bus, names, store, publisher }, job);
    return this.#later.schedule({ ...job, runAt });
  }

  /** The lane of one pool; undefined when it has none yet. */
  of(pool: Pool): PoolLane | undefined {
    return this.#lanes.get(pool);
  }

  /** How many jobs of a pool wait in its stream; 0 without a lane. */
  queued(pool: Pool): number {
    const lane = this.#lanes.get(pool);
    return lane === undefined ? 0 : this.#queues.of(pool, lane);
  }

  /** Another manager has told of its jobs. */
  onHeartbeat(heartbeat: ManagerHeartbeat): void {
    this.#heldBack.onHeartbeat(heartbeat);
  }

  /** What all managers hold back of a pool, as they tell; undefined for one without a lane here. */
  heldBack(pool: string): HeldBack | undefined {
    return this.#heldBack.of(pool);
  }

  /** The lanes by pool. */
  *all(): Generator<readonly [pool: string, lane: PoolLane]> {
    for (const [pool, lane] of this.#lanes) yield [pool.name, lane];
  }

  /** Opens the lane of a pool, if it has none yet. @throws PoolError `unknown_pool` for a name without workers */
  async ensure(name: string): Promise<void> {
    const pool = this.#parts.get(name);
    if (!isServed(pool)) throw unknownPool({ retryAfterMs: RETRY_MS });
    if (!this.#lanes.has(pool)) await this.#open(pool);
  }

  /** Pauses the lane of a pool, for all managers. @param forMs undefined until it is resumed. @throws PoolError */
  pause(pool: string, forMs: number | undefined): Promise<LanePause> {
    return pausePool(this.#pauseParts, pool, forMs, this.#parts.bus.runtime.wallNow());
  }

  /** @throws PoolError */
  resume(pool: string): Promise<void> {
    return resumePool(this.#pauseParts, pool);
  }

  get #pauseParts(): PauseParts {
    return { names: this.names, store: this.store, brokerVersion: this.#parts.bus.nc.info?.version };
  }

  /** The cron schedules of a pool. Each rejects with a PoolError. */
  get crons(): Pick<LaterLanes, "setCron" | "removeCron" | "listCrons"> {
    return this.#later;
  }

  /** Whether the lane of a pool is open here. */
  isOpen(name: string): boolean {
    for (const { name: each } of this.#lanes.keys()) if (each === name) return true;
    return false;
  }

  /** Whether the pool has a stream, whoever made it. @throws PoolError */
  async hasStream(name: string): Promise<boolean> {
    return (await this.store.streamInfo(this.names.jobsStream(name))) !== undefined;
  }

  /** How the lane of a pool stands, as its streams tell. @throws PoolError */
  figures(pool: string): Promise<LaneFigures | undefined> {
    return laneFigures(this.store, this.names, pool);
  }

  /** How many jobs of a pool another manager says that it holds. */
  knowsHeld(pool: string, manager: string): number {
    return this.#takeover?.knowsHeld(pool, manager) ?? 0;
  }

  /** Creates what is missing. @throws PoolError `bus_unavailable` when the broker has no JetStream */
  async start(): Promise<void> {
    const { bus, servesEnqueue, log } = this.#parts;
    const patience = { runtime: bus.runtime, log, waits: servesEnqueue, isOver: () => this.#stopping };
    await untilProvisioned(patience, () => this.#provision(provisionShared));
    // What the broker cannot do now is done by a tick: it may have been killed meanwhile.
    const pools = [...this.#parts.pools()].filter(isServed);
    await Promise.all(pools.map((pool) => this.#open(pool).catch((thrown) => this.#onFailure(pool.name, thrown))));
    this.#doors.start(this.#parts.served, this.#parts.servesEnqueue);
    this.#takeover = this.#makeTakeover();
    this.#takeover.start();
    this.#ticker = this.#parts.bus.runtime.every(TICK_MS, () => this.#tick());
  }

  /** Stops pulling, and gives back what no worker has. */
  drain(): void {
    this.#stopping = true;
    this.#doors.stop();
    this.#later.drain();
    this.#each((lane) => lane.drain());
  }

  /** Ends it; what has ended is stored first, within a limit. */
  async stop(): Promise<void> {
    const { runtime } = this.#parts.bus;
    await Promise.all([this.#later.finish(), ...[...this.#lanes.values()].map((lane) => lane.finish())]);
    const endAtMs = runtime.now() + SETTLE_LIMIT_MS;
    while (
      [...this.#lanes.values()].some(({ held, limits }) => held + limits.unwritten > 0) &&
      runtime.now() < endAtMs &&
      this.#parts.bus.connected
    ) {
      await delay(runtime, SETTLE_CHECK_MS);
    }
    runtime.cancel(this.#ticker);
    this.#takeover?.stop();
    this.batches.stop();
    for (const off of this.#offBus) off();
    this.publisher.stop();
  }

  #makeTakeover(): Takeover {
    const { bus, manager, served, log, inbox } = this.#parts;
    const { names, store } = this;
    const held = (): Iterable<readonly [string, HeldList]> => this.#heldLists();
    return new Takeover({ bus, manager, served, log, inbox: inbox(), names, store, held });
  }

  *#openPools(): Generator<string> {
    for (const { name } of this.#lanes.keys()) yield name;
  }

  *#heldLists(): Generator<readonly [string, HeldList]> {
    for (const [pool, lane] of this.all()) yield [pool, lane.heldList];
  }

  #ownHeldBack(name: string): HeldBack | undefined {
    const nowMs = this.#parts.bus.runtime.now();
    for (const [pool, lane] of this.all()) {
      if (pool === name) return { retrying: lane.retrying(nowMs), limited: lane.limited };
    }
    return undefined;
  }

  #find(name: string, id: string): HeldJob | undefined {
    for (const [pool, lane] of this.#lanes) if (pool.name === name) return lane.find(id);
    return undefined;
  }

  #each(work: (lane: PoolLane) => void): void {
    for (const lane of this.#lanes.values()) work(lane);
  }

  #tick(): void {
    const nowMs = this.#parts.bus.runtime.now();
    this.#each((lane) => lane.tick(nowMs));
    this.#later.tick(this.#openPools(), nowMs);
    this.#takeover?.tick(nowMs);
    if (this.#parts.bus.connected) this.#queues.tick(this.#lanes, nowMs);
    if (this.#parts.bus.connected) this.batches.tick(this.#openPools(), nowMs);
    if (this.#stopping || !this.#parts.bus.connected || nowMs < this.#retryAtMs) return;
    const current = new Set(this.#parts.pools());
    for (const [pool, lane] of this.#lanes) if (!current.has(pool)) this.#close(pool, lane);
    for (const pool of current) {
      if (!isServed(pool) || this.#lanes.has(pool) || this.#opening.has(pool)) continue;
      void this.#open(pool).catch((thrown: unknown) => this.#onFailure(pool.name, thrown));
    }
  }

  #open(pool: Pool): Promise<void> {
    const underWay = this.#opening.get(pool);
    if (underWay !== undefined) return underWay;
    const opening = this.#openNow(pool).finally(() => this.#opening.delete(pool));
    this.#opening.set(pool, opening);
    return opening;
  }

  async #openNow(pool: Pool): Promise<void> {
    const ackWaitMs = await this.#provision((parts) => provisionPool(parts, pool.name));
    if (this.#stopping) return;
    const { bus, manager, log } = this.#parts;
    const { names, store, publisher, batches } = this;
    const onMissing = (): void => void this.#restore(pool);
    const isHeldElsewhere = ({ level, sequence }: HeldDelivery): boolean =>
      this.#takeover?.isHeldElsewhere(pool.name, level, sequence) ?? false;
    const limits = new PoolLimits({ pool: pool.name, manager, bus, names, store, publisher });
    await limits.read();
    const mayFollow = (next: string): boolean => this.#mayFollow(next);
    const terms = { timeoutMs: pool.settings.timeoutMs, inboxPrefix: bus.inboxPrefix, mayFollow };
    const own = { pool, limits, ackWaitMs, terms, onMissing, isHeldElsewhere };
    this.#lanes.set(pool, new PoolLane({ ...own, manager, bus, names, store, publisher, batches, log }));
  }

  /** A service enqueues for others, so only where it serves; an embedded manager has its program's rights. */
  #mayFollow(pool: string): boolean {
    const { served, servesEnqueue } = this.#parts;
    return served === undefined || served.includes(pool) || !servesEnqueue;
  }

  /** A pool that the manager has forgotten: it has no workers and no jobs. */
  #close(pool: Pool, lane: PoolLane): void {
    this.#lanes.delete(pool);
    lane.drain();
    void lane.finish();
  }

  /** A stream that a pool needs does not answer. What is gone is created again, empty. */
  async #restore(pool: Pool): Promise<void> {
    if (this.#restoring.has(pool)) return;
    this.#restoring.add(pool);
    await this.#untilRestored(pool);
    this.#restoring.delete(pool);
  }

  async #untilRestored(pool: Pool): Promise<void> {
    const { bus, log } = this.#parts;
    for (;;) {
      await delay(bus.runtime, RETRY_MS);
      const lane = this.#lanes.get(pool);
      if (this.#stopping || lane === undefined) return;
      try {
        const isThere = (await this.store.streamInfo(this.names.jobsStream(pool.name))) !== undefined;
        if (!isThere) log.error({ pool: pool.name }, "the stream of this pool is gone; it is created again, empty");
        await this.#provision(provisionShared);
        await this.#provision((parts) => provisionPool(parts, pool.name));
        return lane.resume();
      } catch (thrown) {
        if (bus.connected) this.#onFailure(pool.name, thrown);
      }
    }
  }

  #onFailure(pool: string, thrown: unknown): void {
    this.#retryAtMs = this.#parts.bus.runtime.now() + RETRY_MS;
    this.#parts.log.error({ pool, why: toPoolError(thrown).message }, "the durable lane of this pool cannot open");
  }

  #provision<T>(work: (parts: Provisioning) => Promise<T>): Promise<T> {
    const { bus, log } = this.#parts;
    const isCluster = bus.nc.info?.cluster !== undefined;
    return withCopies(isCluster, (replicas) => work({ store: this.store, names: this.names, log, replicas }));
  }
}

/** A name that was only mistyped gets no streams. */
function isServed({ facts }: Pool): boolean {
  return isKnownPool(facts);
}
