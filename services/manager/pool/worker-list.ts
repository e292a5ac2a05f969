/**
 * The workers of one pool as their heartbeats show them, for dispatch and for listings.
 *
 * Decided here: what a heartbeat leads to, and in which order. Jobs that it lists
 * as running are accepted before its counts are taken in, so that a slot is
 * counted once whether the heartbeat or the `accepted` reply comes first. A worker that
 * has restarted may have taken a job before its first heartbeat came: that one is not lost.
 */
import type { Heartbeat } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { Dispatcher } from "../jobs/dispatcher.js";
import type { HeartbeatMeaning, Workers } from "../jobs/workers.js";
import { type Losses, runsIn } from "./losses.js";
import type { ManagerHooks } from "./pool-settings.js";
import type { UnknownWorkers } from "./unknown-workers.js";

/** What is known of one worker for listings. Instants are monotonic milliseconds. */
export interface ListedWorker {
  readonly heartbeat: Heartbeat;
  readonly atMs: number;
  readonly firstAtMs: number;
}

/** What the list works with. */
export interface WorkerListParts {
  readonly pool: string;
  readonly workers: Workers;
  readonly dispatcher: Dispatcher;
  readonly losses: Losses;
  readonly hooks: ManagerHooks;
  /** Replies that wait for the first heartbeat of their worker. */
  readonly unknown: UnknownWorkers;
}

export class WorkerList {
  readonly #parts: WorkerListParts;
  readonly #listed = new Map<string, ListedWorker>();

  constructor(parts: WorkerListParts) {
    this.#parts = parts;
  }

  /** The workers that are known now. */
  all(): Iterable<ListedWorker> {
    return this.#listed.values();
  }

  get(id: string): ListedWorker | undefined {
    return this.#listed.get(id);
  }

  /** A heartbeat of one of this pool's workers; an old one is ignored. */
  onHeartbeat(heartbeat: Heartbeat, nowMs: number): void {
    this.#take(heartbeat, nowMs);
    this.#parts.unknown.onHeartbeat(heartbeat.worker);
  }

  #take(heartbeat: Heartbeat, nowMs: number): void {
    const { workers, dispatcher, losses } = this.#parts;
    const id = heartbeat.worker;
    if (workers.hasTwin(heartbeat)) losses.onTwin(id, nowMs);
    if (workers.isCurrent(heartbeat)) this.#acceptRunning(heartbeat);
    const wasBare = dispatcher.isBare;
    const meaning = workers.heartbeat(heartbeat, nowMs);
    if (meaning === "ignored") return;
    if (meaning === "left") return this.remove(id, "left");
    const firstAtMs = this.#listed.get(id)?.firstAtMs ?? nowMs;
    this.#listed.set(id, { heartbeat, atMs: nowMs, firstAtMs });
    this.#onMeaning(meaning, heartbeat);
    if (!heartbeat.runningTruncated) losses.onRunningList(heartbeat);
    if (heartbeat.missingPermissions.length > 0) losses.onMissingPermissions(heartbeat);
    if (wasBare && !dispatcher.isBare) this.#awaitOffers(nowMs);
    dispatcher.pump();
  }

  /** A worker left or is lost: its jobs run elsewhere where that is safe, else they end. */
  remove(id: string, why: string): void {
    this.#listed.delete(id);
    this.#parts.hooks.workerRemove?.({ id, pool: this.#parts.pool, why });
    this.#parts.losses.onLeft(id, why);
  }

  #acceptRunning({ worker, runningJobs, runningNonces }: Heartbeat): void {
    const { dispatcher } = this.#parts;
    for (const [i, job] of runningJobs.entries()) dispatcher.runsAt(job, runningNonces[i] ?? "", worker);
  }

  /** Since a worker sends heartbeats, an offer that nobody answers is missed: also one that was made before. */
  #awaitOffers(nowMs: number): void {
    const { dispatcher } = this.#parts;
    for (const { attempt } of dispatcher.liveJobsNow()) {
      if (attempt !== undefined) dispatcher.inFlight.awaitOffer(attempt, nowMs);
    }
  }

  #onMeaning(meaning: HeartbeatMeaning, heartbeat: Heartbeat): void {
    const { worker: id, slots } = heartbeat;
    const { dispatcher, losses, hooks, pool } = this.#parts;
    if (meaning === "updated") return;
    losses.onJoined(id);
    if (meaning === "joined") hooks.workerAdd?.({ id, pool, slots });
    else dispatcher.workerLost(id, "restarted", runsIn(heartbeat));
    this.#acceptRunning(heartbeat);
  }
}
