/** What the pool's workers and managers say by themselves while the kit runs. */
import type { Msg } from "nats";
import type { Heartbeat } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { WorkerState } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import type { Subscription } from "../../mesh/link/subscription.js";
import { encodeControl } from "../../mesh/wire/control-messages.js";
import {
  decodeHeartbeat,
  decodeManagerHeartbeat,
  type GarbageKind,
  rawHeartbeat,
} from "../../mesh/wire/heartbeat-codec.js";
import type { Link } from "../link.js";
import { Waiting } from "./waiting.js";

/** A heartbeat that was heard. */
export interface HeardBeat {
  /** Monotonic milliseconds. */
  readonly atMs: number;
  /** Undefined when it is malformed. */
  readonly beat: Heartbeat | undefined;
  readonly garbage: GarbageKind | undefined;
  readonly data: Uint8Array;
}

export class Hearing {
  readonly #link: Link;
  readonly #pool: string;
  readonly #subscriptions: Subscription[];
  readonly #byWorker = new Map<string, HeardBeat[]>();
  readonly #waiting: Waiting;
  /** Jobs that managers have sent to workers of the pool or hold for them, as they said last. */
  readonly #otherJobs = new Map<string, number>();

  constructor(link: Link, pool: string) {
    this.#link = link;
    this.#pool = pool;
    this.#waiting = new Waiting(link.bus.runtime);
    const { bus, subjects } = link;
    this.#subscriptions = [
      bus.subscribe(subjects.every.heartbeat(pool), (msg) => this.#onBeat(msg)),
      bus.subscribe(subjects.every.managerHeartbeat(pool), (msg) => this.#onManager(msg)),
    ];
  }

  /** Asks the workers for a heartbeat. Not every worker listens there. */
  callRoll(): void {
    const { bus, subjects } = this.#link;
    bus.publish(subjects.controlAll(this.#pool), encodeControl("rollCall", {}));
  }

  /** Workers that were heard and have not said that they stopped. */
  get workers(): string[] {
    return [...this.#byWorker.keys()].filter((id) => this.last(id)?.state !== WorkerState.STOPPED).sort();
  }

  /** Jobs of managers in this pool. */
  get otherJobs(): number {
    return [...this.#otherJobs.values()].reduce((sum, each) => sum + each, 0);
  }

  /** All heartbeats of a worker, the oldest first. */
  of(worker: string): readonly HeardBeat[] {
    return this.#byWorker.get(worker) ?? [];
  }

  /** The newest valid heartbeat of a worker. */
  last(worker: string): Heartbeat | undefined {
    return this.of(worker).findLast(({ beat }) => beat !== undefined)?.beat;
  }

  /** The first value that `pick` finds, now or after a heartbeat; undefined after `limitMs` milliseconds. */
  until<T>(pick: () => T | undefined, limitMs: number): Promise<T | undefined> {
    return this.#waiting.until(pick, limitMs);
  }

  stop(): void {
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
  }

  #onBeat(msg: Msg): void {
    const decoded = decodeHeartbeat(rawHeartbeat(msg, this.#link.subjects));
    const worker = this.#link.subjects.lastOf(msg.subject);
    const heard: HeardBeat = {
      atMs: this.#link.bus.runtime.now(),
      beat: decoded.ok ? decoded.beat : undefined,
      garbage: decoded.ok ? undefined : decoded.kind,
      data: msg.data,
    };
    const beats = this.#byWorker.get(worker);
    if (beats === undefined) this.#byWorker.set(worker, [heard]);
    else beats.push(heard);
    this.#waiting.wake();
  }

  #onManager(msg: Msg): void {
    const decoded = decodeManagerHeartbeat(rawHeartbeat(msg, this.#link.subjects));
    if (!decoded.ok) return;
    const { manager, inFlight, parked, stopped } = decoded.beat;
    this.#otherJobs.set(manager, stopped ? 0 : inFlight + parked);
  }
}
