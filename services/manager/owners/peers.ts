/**
 * The managers that are there, as their heartbeats show them, and which of them
 * owns an id that a caller chose.
 *
 * Decided here: who counts. A manager counts while its heartbeats come and say that
 * it takes submissions. Its silence is measured against the newest heartbeat of any
 * manager, this one's own among them: a manager that hears nothing at all, or that
 * stalled, judges nobody.
 */
import { create } from "@bufbuild/protobuf";
import { type ManagerHeartbeat, ManagerHeartbeatSchema } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { type HeartbeatOrder, hasReplaced, isNewer, lostAfterMs } from "../../../mesh/wire/liveness-rules.js";
import { ownerOf } from "../../../mesh/wire/owner.js";
import { TwinWatch } from "./twin-watch.js";

/** Managers that are remembered, and pools of one that serves some only. */
const MAX_PEERS = 1_000;
const MAX_POOLS = 10_000;
/** One that knows of no pools sends no heartbeats: it counts for three times as long, in milliseconds. */
const UNHEARD_INTERVAL_MS = 60_000;

interface Peer {
  heartbeat: ManagerHeartbeat;
  heardAtMs: number;
  /** The last heartbeat under its id of a process that says it is an earlier one. */
  rival: HeartbeatOrder | undefined;
  /** The pools that it has sent heartbeats for. */
  readonly pools: Set<string>;
}

export class Peers {
  readonly #self: string;
  readonly #onJoined: () => void;
  readonly #onTwin: () => void;
  readonly #twins = new TwinWatch();
  readonly #peers = new Map<string, Peer>();
  #newestAtMs = Number.NEGATIVE_INFINITY;
  /** Whether this manager owns ids: it takes submissions of others, and does not drain. */
  #owns: boolean;

  /**
   * @param takesSubmissions whether this manager may own ids that come to others
   * @param onJoined a process was heard first: it should hear of this one soon
   * @param onTwin another live process has this manager's id: called once
   */
  constructor(self: string, takesSubmissions: boolean, onJoined: () => void, onTwin: () => void = () => {}) {
    this.#self = self;
    this.#owns = takesSubmissions;
    this.#onJoined = onJoined;
    this.#onTwin = onTwin;
  }

  /** A heartbeat of any manager. This one's own tells that it can hear. @param nowMs monotonic milliseconds */
  onHeartbeat(heartbeat: ManagerHeartbeat, nowMs: number): void {
    this.#newestAtMs = nowMs;
    const { manager, pool } = heartbeat;
    if (manager === this.#self) {
      if (this.#twins.hears(heartbeat.incarnation)) this.#onTwin();
      return;
    }
    const peer = this.#peers.get(manager);
    if (peer === undefined) return this.#add(heartbeat, nowMs);
    if (!isNewer(heartbeat, peer.heartbeat) && !replaces(heartbeat, peer, nowMs)) return;
    const isRestarted = heartbeat.incarnation !== peer.heartbeat.incarnation;
    peer.heartbeat = heartbeat;
    peer.heardAtMs = nowMs;
    if (peer.pools.size < MAX_POOLS) peer.pools.add(pool);
    if (isRestarted) this.#onJoined();
  }

  /**
   * A manager has said that it takes submissions from now on. Its heartbeats may not have told it yet: they are of pools,
   * and it may know of none.
   *
   * @param pool undefined for all
   */
  onJoins(manager: string, pool: string | undefined, nowMs: number): void {
    const peer = this.#peers.get(manager);
    const allPools = pool === undefined;
    if (peer === undefined) return this.#add(unheard(manager, pool), nowMs);
    const heartbeat = { ...peer.heartbeat, takesSubmissions: true, draining: false, stopped: false };
    peer.heartbeat = { ...heartbeat, allPools: heartbeat.allPools || allPools };
    peer.heardAtMs = nowMs;
    if (pool !== undefined && peer.pools.size < MAX_POOLS) peer.pools.add(pool);
  }

  /** A manager takes nothing new, which its heartbeat may not have said yet. */
  onLeaving(manager: string): void {
    const peer = this.#peers.get(manager);
    if (peer !== undefined) peer.heartbeat = { ...peer.heartbeat, draining: true, takesSubmissions: false };
  }

  /** Nobody listens at a manager's own subject: it is gone until it is heard again. */
  onGone(manager: string): void {
    this.#peers.delete(manager);
  }

  /** This connection is back: silence is counted from now. */
  onReconnect(nowMs: number): void {
    this.#newestAtMs = nowMs;
    for (const peer of this.#peers.values()) peer.heardAtMs = nowMs;
  }

  /** Whether this manager owns ids: it takes submissions of others, and does not stop. */
  get owns(): boolean {
    return this.#owns;
  }

  /** This manager owns nothing any more when there is another one. */
  drain(): void {
    this.#owns = false;
  }

  /** Whether a manager was heard. */
  isKnown(manager: string): boolean {
    return this.#peers.has(manager);
  }

  /** The manager that owns an id of a pool: this one, or one that is there. */
  ownerOf(pool: string, id: string): string {
    if (this.#peers.size === 0) return this.#self;
    const candidates = this.#owns ? [this.#self] : [];
    for (const [manager, peer] of this.#peers) if (this.#counts(peer, pool)) candidates.push(manager);
    return ownerOf(candidates, pool, id) ?? this.#self;
  }

  /** The other managers that may own ids of a pool. */
  otherOwners(pool: string): string[] {
    return [...this.#peers].filter(([, peer]) => this.#counts(peer, pool)).map(([manager]) => manager);
  }

  /** The other managers that stop, and have jobs and kept outcomes of a pool until they have stopped. */
  leaving(pool: string): string[] {
    const isLeaving = (peer: Peer): boolean => peer.heartbeat.draining && this.#serves(peer, pool);
    return [...this.#peers].filter(([, peer]) => isLeaving(peer)).map(([manager]) => manager);
  }

  /** Whether another manager is there, as its heartbeats tell: it takes submissions of a pool, or stops. */
  isThere(manager: string, pool: string): boolean {
    const peer = this.#peers.get(manager);
    return peer !== undefined && this.#serves(peer, pool);
  }

  /** The other managers that are there, whether they take submissions or not. @param pool undefined for those of any pool */
  managers(pool: string | undefined): string[] {
    const found: string[] = [];
    for (const [manager, peer] of this.#peers) if (this.#serves(peer, pool)) found.push(manager);
    return found;
  }

  #counts(peer: Peer, pool: string): boolean {
    return peer.heartbeat.takesSubmissions && this.#serves(peer, pool);
  }

  /** @param pool one that it serves; undefined for any */
  #serves({ heartbeat, heardAtMs, pools }: Peer, pool: string | undefined): boolean {
    const { stopped, allPools, heartbeatIntervalMs } = heartbeat;
    const serves = pool === undefined || allPools || pools.has(pool);
    return serves && !stopped && this.#newestAtMs - heardAtMs < lostAfterMs(heartbeatIntervalMs);
  }

  #add(heartbeat: ManagerHeartbeat, nowMs: number): void {
    if (this.#peers.size >= MAX_PEERS) this.#forgetLost();
    if (heartbeat.stopped || this.#peers.size >= MAX_PEERS) return;
    this.#peers.set(heartbeat.manager, {
      heartbeat,
      heardAtMs: nowMs,
      rival: undefined,
      pools: new Set([heartbeat.pool]),
    });
    this.#onJoined();
  }

  #forgetLost(): void {
    for (const [manager, { heartbeat, heardAtMs }] of this.#peers) {
      const silentMs = this.#newestAtMs - heardAtMs;
      if (heartbeat.stopped || silentMs >= lostAfterMs(heartbeat.heartbeatIntervalMs)) this.#peers.delete(manager);
    }
  }
}

/** What is known of a manager before its first heartbeat, which any of its heartbeats replaces. */
function unheard(manager: string, pool = ""): ManagerHeartbeat {
  const about = { takesSubmissions: true, allPools: pool === "", heartbeatIntervalMs: UNHEARD_INTERVAL_MS };
  return create(ManagerHeartbeatSchema, { manager, pool, ...about });
}

/** Whether a process whose clock was set back has taken the place of the one that is known under its id. */
function replaces(heartbeat: ManagerHeartbeat, peer: Peer, nowMs: number): boolean {
  const { incarnation, seq, heartbeatIntervalMs } = peer.heartbeat;
  const known = { incarnation, seq, heartbeatIntervalMs, beatAtMs: peer.heardAtMs, rival: peer.rival };
  const hasTakenIt = hasReplaced(heartbeat, known, nowMs);
  peer.rival = known.rival;
  return hasTakenIt;
}
