/**
 * All pools of one manager.
 *
 * Decided here: when a pool comes into being and when it is forgotten, and the
 * order in which a manager's parts start and stop.
 */
import type { ManagerHeartbeat } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { PoolError, unknownPool } from "../../mesh/errors.js";
import type { Bus } from "../../mesh/link/bus.js";
import { Inbox } from "../../mesh/link/inbox.js";
import type { MissingRights } from "../../mesh/link/missing-rights.js";
import { type Runtime, systemRuntime, until } from "../../mesh/link/runtime.js";
import { Lifecycle } from "../../mesh/process/lifecycle.js";
import { type Logger, silentLog } from "../../mesh/process/log.js";
import { encodeControl } from "../../mesh/wire/control-messages.js";
import { checkName, Subjects } from "../../mesh/wire/subjects.js";
import { RollCall } from "./doors/roll-call.js";
import { isShownPool, nearPool } from "./doors/unknown-pool.js";
import { Unsettled } from "./doors/unsettled.js";
import { DurableLane } from "./durable/lane.js";
import { Hearing } from "./hearing.js";
import { Heartbeats } from "./heartbeat.js";
import { HeldSubmissions } from "./held-submissions.js";
import { Inspection } from "./inspect/inspection.js";
import { OutcomeReplies } from "./outcome-replies.js";
import { EarlierOwners } from "./owners/earlier-owners.js";
import { Joining } from "./owners/joining.js";
import { Peers } from "./owners/peers.js";
import { watchManagerRights } from "./pool/manager-rights.js";
import { Pace } from "./pool/pace.js";
import { Pool, stopping } from "./pool/pool.js";
import type { PoolSettings } from "./pool/pool-settings.js";
import { StreamWarnings } from "./pool/stream-warnings.js";
import { Ticker } from "./ticker.js";

export interface PoolsOptions {
  readonly bus: Bus;
  /** This manager's id. */
  readonly id: string;
  readonly prefix?: string;
  /** The pools to serve; undefined for all. */
  readonly pools?: readonly string[];
  /** Also take jobs from `pool.P.submit`. */
  readonly servesSubmit: boolean;
  readonly settings: PoolSettings;
  /** At most this many pools are known at once. */
  readonly maxPools: number;
  /** How long stop() waits for live jobs, in milliseconds. */
  readonly graceMs: number;
  /** Also run the jobs that are stored in streams; default false. */
  readonly durable?: boolean;
  readonly log?: Logger;
}

/** A pool that was only named, or whose workers have all gone, is forgotten after this, in milliseconds. */
const FORGET_AFTER_MS = 600_000;
/** Pools that nobody has served yet are at most one part of so many of all that may be known. */
const UNKNOWN_PART = 2;
/** How long stop() waits for submissions that are held, and are told their kept outcome or refused, in milliseconds. */
const HELD_LIMIT_MS = 1_000;

export class Pools extends Lifecycle {
  readonly subjects: Subjects;
  /** The other managers, and who owns which id. */
  readonly peers: Peers;
  /** Asks the other managers for jobs that they had before this one started. */
  readonly earlier: EarlierOwners;
  /** What others may see of this manager's jobs. */
  readonly inspection: Inspection;
  /** Tells whether a name has workers. */
  readonly rollCall: RollCall;
  readonly #unsettled: Unsettled;
  readonly #options: PoolsOptions;
  readonly #log: Logger;
  readonly #pools = new Map<string, Pool>();
  readonly #answers: OutcomeReplies;
  readonly #held: HeldSubmissions;
  readonly #ticker: Ticker;
  readonly #pace: Pace;
  readonly #hearing: Hearing;
  readonly #joining: Joining;
  readonly #heartbeats: Heartbeats;
  readonly #durable: DurableLane | undefined;
  #inbox: Inbox | undefined;
  #rights: MissingRights | undefined;
  #offBus: () => void = () => {};
  #stopping = false;
  /** Its jobs have ended. */
  #isOver = false;
  readonly #streamWarnings: StreamWarnings;

  constructor(options: PoolsOptions) {
    super();
    const { bus, id, prefix, servesSubmit, pools = [], log = silentLog } = options;
    for (const pool of pools) checkName("pool", pool);
    this.#options = options;
    this.#log = log;
    this.#streamWarnings = new StreamWarnings(log);
    this.subjects = new Subjects(prefix);
    this.#pace = new Pace(bus, this.subjects);
    this.rollCall = new RollCall({ bus, subjects: this.subjects, inbox: () => this.inbox });
    this.#unsettled = new Unsettled(this.rollCall);
    this.#answers = new OutcomeReplies(bus, id);
    this.#held = new HeldSubmissions(bus, bus.runtime.now());
    this.#heartbeats = new Heartbeats({
      bus,
      subjects: this.subjects,
      manager: id,
      hasJoined: () => this.#joining.hasJoined,
      scope: { takesSubmissions: servesSubmit, allPools: options.pools === undefined },
      pools: () => this.shown(),
      retrying: (pool) => this.#durable?.of(pool)?.retrying(bus.runtime.now()) ?? 0,
      limited: (pool) => this.#durable?.of(pool)?.limited ?? 0,
      queued: (pool) => this.#durable?.queued(pool) ?? 0,
    });
    const onTwin = (): void => log.error({ manager: id }, "another live manager has this id: give each its own (--id)");
    this.peers = new Peers(id, servesSubmit, () => this.#heartbeats.send(), onTwin);
    const { subjects, peers } = this;
    this.earlier = new EarlierOwners({ bus, subjects, manager: id, peers, inbox: () => this.inbox });
    this.#joining = new Joining({
      ...{ bus, subjects, peers, manager: id, pools: options.pools },
      inbox: () => this.inbox,
      beat: () => this.#heartbeats.send(),
      onHeard: () => {
        this.inspection.answers.start(options.pools);
        this.#hearing.open(options.pools);
      },
      onJoined: () => this.#hearing.join(options.pools),
    });
    this.inspection = new Inspection({
      ...{ bus, subjects, manager: id },
      pools: () => this.known(),
      jobEvents: options.settings.jobEvents,
      onJoining: (msg) => this.#joining.hears(msg),
    });
    this.#ticker = new Ticker({
      bus,
      heartbeats: this.#heartbeats,
      pools: () => this.known(),
      onSecond: (nowMs) => this.#onSecond(nowMs),
    });
    this.#hearing = new Hearing({
      ...{ bus, subjects, manager: id },
      answers: this.#answers,
      held: this.#held,
      peers: this.peers,
      onPeer: (heartbeat) => this.#onPeer(heartbeat),
      inbox: () => this.inbox,
      unsettled: this.#unsettled,
      earlier: this.earlier,
      known: (name) => this.#pools.get(name),
      heardOf: (name) => this.#pools.get(name) ?? (this.#makeRoom() ? this.#add(name) : undefined),
      onWake: (nowMs) => this.#ticker.onWake(nowMs),
      get: (name) => this.#getOrAdd(name),
    });
    if (!options.durable) return;
    this.#durable = new DurableLane({
      bus,
      prefix: this.subjects.prefix,
      manager: id,
      inbox: () => this.inbox,
      pools: () => this.known(),
      served: options.pools,
      servesEnqueue: servesSubmit,
      get: (name) => this.get(name),
      others: (name) => this.peers.managers(name),
      log,
    });
  }

  /** The durable lane; undefined when this manager has none. */
  get durable(): DurableLane | undefined {
    return this.#durable;
  }

  /** Heartbeats that were garbage and were dropped. */
  get garbageHeartbeats(): number {
    return this.#hearing.garbage;
  }

  /** What the broker refuses although this manager needs it. */
  get missingPermissions(): readonly string[] {
    return this.#rights?.names ?? [];
  }

  /** Time and chance of this manager's process. */
  get runtime(): Runtime {
    return this.#options.bus.runtime;
  }

  /** The inbox for this manager's own questions. */
  get inbox(): Inbox {
    if (this.#inbox === undefined) throw new PoolError("bus_unavailable", "the manager was not started");
    return this.#inbox;
  }

  known(): Iterable<Pool> {
    return this.#pools.values();
  }

  /** The pools that are shown: a name that was only mistyped is not. */
  *shown(): Generator<Pool> {
    for (const pool of this.#pools.values()) if (isShownPool(pool.facts)) yield pool;
  }

  /** The pools that this manager serves; undefined for all. */
  get served(): readonly string[] | undefined {
    return this.#options.pools;
  }

  /** Whether this manager serves a pool, if there is one of this name. */
  serves(name: string): boolean {
    return this.#options.pools?.includes(name) ?? true;
  }

  /** A pool that is known. */
  find(name: string): Pool | undefined {
    return this.#pools.get(checkName("pool", name));
  }

  /**
   * A pool to submit to; made when it is not known yet.
   *
   * @throws PoolError `invalid_argument`, `not_found` when this manager does not serve it, `draining`, `pool_full`
   */
  get(name: string): Pool {
    if (this.#stopping) throw stopping();
    return this.#getOrAdd(name);
  }

  /** Also while the manager stops: what was taken before is brought to its end. @throws PoolError */
  #getOrAdd(name: string): Pool {
    const known = this.#pools.get(checkName("pool", name));
    if (known !== undefined) return known;
    if (!this.serves(name)) {
      throw new PoolError("not_found", "this manager does not serve that pool", { field: "pool" });
    }
    if (!this.#makeRoom()) {
      throw new PoolError("pool_full", "as many pools are known as may be", { retryAfterMs: 30_000, field: "pool" });
    }
    if (!this.#hasRoomForUnknown()) {
      const message = "jobs wait for as many pools that nobody has served yet as may be";
      throw new PoolError("pool_full", message, { retryAfterMs: 30_000, field: "pool" });
    }
    return this.#add(name);
  }

  /** The error of a name that no worker serves, with the one that was perhaps meant. */
  unknown(name: string): PoolError {
    const near = this.#near(name);
    return unknownPool(near === undefined ? {} : { near });
  }

  protected async onStart(): Promise<void> {
    const { bus, pools } = this.#options;
    this.#inbox = new Inbox(bus);
    this.#rights = watchManagerRights({
      bus,
      subjects: this.subjects,
      log: this.#log,
      subscriptions: () => this.#hearing.subscriptions,
      known: (name) => this.#pools.get(name),
    });
    for (const pool of pools ?? [undefined]) this.#hearing.start(pool);
    for (const pool of pools ?? []) this.#add(pool);
    const off = [
      bus.on("disconnect", () => this.#hearing.onDisconnect()),
      bus.on("reconnect", () => this.#onReconnect()),
    ];
    this.#offBus = () => {
      for (const each of off) each();
    };
    this.#held.sign(bus.runtime.now());
    this.rollCall.listens();
    this.#ticker.start();
    this.#heartbeats.send();
    if (this.#options.servesSubmit) await this.#joining.start();
    else this.inspection.answers.start(pools);
    await bus.flush();
    if (this.state === "starting") await this.#durable?.start();
  }

  /** Another manager has sent a heartbeat: one that joins looks for the workers of its pool before it takes a job. */
  #onPeer(heartbeat: ManagerHeartbeat): void {
    const { pool, takesSubmissions } = heartbeat;
    const isNew = takesSubmissions && !this.#pools.has(pool) && this.#pools.size < this.#options.maxPools;
    if (isNew && this.#joining.isUnderWay) this.#add(pool);
    this.#durable?.onHeartbeat(heartbeat);
  }

  /** Waits for live jobs up to the grace, then ends the rest as `draining`. */
  protected async onStop(): Promise<void> {
    const { bus } = this.#options;
    this.#joining.stop();
    this.#durable?.drain();
    this.peers.drain();
    this.#heartbeats.drain();
    // What has been given to this manager is taken, and what follows goes to another one: nobody hears of its end.
    await this.#hearing.leave();
    this.#stopping = true;
    this.#unsettled.stop();
    await until(bus.runtime, () => !this.#ticker.isBusy && !this.#hearing.holds, this.#options.graceMs);
    this.#isOver = true;
    for (const pool of this.#pools.values()) {
      pool.close();
      pool.endAll("draining", "the manager stopped before the job ended");
      pool.stop();
    }
    await this.#durable?.stop();
    this.#heartbeats.stop();
    this.#ticker.stop();
    this.#offBus();
    this.#rights?.stop();
    await this.#hearing.stop();
    await until(bus.runtime, () => !this.#hearing.holds, HELD_LIMIT_MS);
    this.inspection.answers.stop();
    this.#inbox?.stop();
    await bus.flush();
    this.#answers.stop();
  }

  /** Room for one more pool. When the table is full, a pool without workers and jobs gives way. */
  #makeRoom(): boolean {
    if (this.#pools.size < this.#options.maxPools) return true;
    for (const pool of this.#pools.values()) {
      if (!isUnused(pool)) continue;
      this.#forget(pool);
      return true;
    }
    return false;
  }

  /** Whoever may submit can name a pool and wait for it: a pool that has workers finds room all the same. */
  #hasRoomForUnknown(): boolean {
    const { pools, maxPools } = this.#options;
    if (pools !== undefined) return true;
    let waitedFor = 0;
    for (const pool of this.#pools.values()) if (!pool.isKnown && !isUnused(pool)) waitedFor += 1;
    return waitedFor < Math.max(1, Math.floor(maxPools / UNKNOWN_PART));
  }

  #add(name: string): Pool {
    const { bus, settings } = this.#options;
    const { inbox, subjects } = this;
    const isNamed = this.#options.pools !== undefined;
    const near = (of: string): string | undefined => this.#near(of);
    const pool = new Pool(name, { bus, inbox, subjects, isNamed, ticker: this.#ticker, near }, settings);
    if (this.#isOver) pool.close();
    this.#pools.set(name, pool);
    this.inspection.attach(pool);
    bus.publish(subjects.controlAll(name), encodeControl("rollCall", {}));
    // Other managers of the pool answer with a heartbeat of their own, if they have not heard of this one.
    this.#heartbeats.changed(pool);
    return pool;
  }

  #near(name: string): string | undefined {
    const known = [...this.#pools.values()].filter((pool) => pool.isKnown);
    return nearPool(
      name,
      known.map((pool) => pool.name),
    );
  }

  #forget(pool: Pool): void {
    this.#pools.delete(pool.name);
    pool.stop();
  }

  #onSecond(nowMs: number): void {
    this.#held.sign(nowMs);
    this.inspection.events.checkWatched(nowMs);
    this.#pace.check(this.known(), nowMs);
    const all = this.#options.pools === undefined;
    for (const pool of this.#pools.values()) {
      this.#streamWarnings.check(pool);
      const isWaitedFor = (this.#durable?.queued(pool) ?? 0) > 0;
      if (all && isUnused(pool) && !isWaitedFor && nowMs - pool.lastUsedAtMs > FORGET_AFTER_MS) this.#forget(pool);
    }
    this.#heartbeats.sendDue();
  }

  #onReconnect(): void {
    this.#log.info("reconnected: asking workers for outcomes that are due");
    const nowMs = this.#options.bus.runtime.now();
    this.peers.onReconnect(nowMs);
    this.rollCall.listens();
    for (const pool of this.#pools.values()) pool.onReconnect(nowMs);
  }
}

function isUnused({ workers, dispatcher }: Pool): boolean {
  return workers.size === 0 && dispatcher.liveJobs === 0;
}

/** A default manager id. */
export function newManagerId(runtime: Runtime = systemRuntime): string {
  return `manager-${runtime.newId()}`;
}
