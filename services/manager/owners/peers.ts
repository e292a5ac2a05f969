/**
 * The managers that are there, as their heartbeats show them, and which of them
 * owns an id that a caller chose.
 *
 * Decided here: who counts. A manager counts while its heartbeats come and say that
 * it takes submissions. Its silence is measured against the newest heartbeat of any
 * manager, this one's own among them: a manager that hears nothing at all, or that
 * stalled, judges nobody.
 */
import type { ManagerHeartbeat } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { isNewer, lostAfterMs } from "../../../mesh/wire/liveness-rules.js";
import { ownerOf } from "../../../mesh/wire/owner.js";

/** Managers that are remembered, and pools of one that serves some only. */
const MAX_PEERS = 1_000;
const MAX_POOLS = 10_000;

interface Peer {
  heartbeat: ManagerHeartbeat;
  heardAtMs: number;
  /** The pools that it has sent heartbeats for. */
  readonly pools: Set<string>;
}

export class Peers {
  readonly #self: string;
  readonly #onJoined: () => void;
  readonly #peers = new Map<string, Peer>();
  #newestAtMs = Number.NEGATIVE_INFINITY;
  /** Whether this manager owns ids: it takes submissions of others, and does not drain. */
  #owns: boolean;

  /**
   * @param takesSubmissions whether this manager may own ids that come to others
   * @param onJoined a manager was heard first: it should hear of this one soon
   */
  constructor(self: string, takesSubmissions: boolean, onJoined: () => void) {
    this.#self = self;
    this.#owns = takesSubmissions;
    this.#onJoined = onJoined;
  }

  /** A heartbeat of this manager has come back: it can hear. @param nowMs monotonic milliseconds */
  heardSelf(nowMs: number): void {
    this.#newestAtMs = nowMs;
  }

  /** A heartbeat of any manager. @param nowMs monotonic milliseconds */
  onHeartbeat(heartbeat: ManagerHeartbeat, nowMs: number): void {
    this.#newestAtMs = nowMs;
    const { manager, pool } = heartbeat;
    if (manager === this.#self) return;
    const peer = this.#peers.get(manager);
    if (peer === undefined) return this.#add(heartbeat, nowMs);
    if (!isNewer(heartbeat, peer.heartbeat)) return;
    peer.heartbeat = heartbeat;
    peer.heardAtMs = nowMs;
    if (peer.pools.size < MAX_POOLS) peer.pools.add(pool);
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

  /** This manager owns nothing any more when there is another one. */
  drain(): void {
    this.#owns = false;
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

  /** The other managers that are there, whether they take submissions or not. @param pool undefined for those of any pool */
  managers(pool: string | undefined): string[] {
    const found: string[] = [];
    for (const [manager, { heartbeat, heardAtMs, pools }] of this.#peers) {
      const isThere = this.#newestAtMs - heardAtMs < lostAfterMs(heartbeat.heartbeatIntervalMs);
      const serves = pool === undefined || heartbeat.allPools || pools.has(pool);
      if (isThere && !heartbeat.stopped && serves) found.push(manager);
    }
    return found;
  }

  #counts({ heartbeat, heardAtMs, pools }: Peer, pool: string): boolean {
    const { stopped, takesSubmissions, allPools, heartbeatIntervalMs } = heartbeat;
    const isThere = this.#newestAtMs - heardAtMs < lostAfterMs(heartbeatIntervalMs);
    return isThere && !stopped && takesSubmissions && (allPools || pools.has(pool));
  }

  #add(heartbeat: ManagerHeartbeat, nowMs: number): void {
    if (this.#peers.size >= MAX_PEERS) this.#forgetLost();
    if (heartbeat.stopped || this.#peers.size >= MAX_PEERS) return;
    this.#peers.set(heartbeat.manager, { heartbeat, heardAtMs: nowMs, pools: new Set([heartbeat.pool]) });
    this.#onJoined();
  }

  #forgetLost(): void {
    for (const [manager, { heartbeat, heardAtMs }] of this.#peers) {
      const silentMs = this.#newestAtMs - heardAtMs;
      if (heartbeat.stopped || silentMs >= lostAfterMs(heartbeat.heartbeatIntervalMs)) this.#peers.delete(manager);
    }
  }
}
