/**
 * A worker's heartbeats: what they say, and when they go out: every interval, on
 * every change (coalesced), after a reconnect, and when told to.
 *
 * The one writer of a worker's heartbeats; `seq` rises with each.
 */

import { hostname } from "node:os";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Heartbeat, HeartbeatSchema, type Isolation, WorkerState } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import type { Bus } from "../../mesh/link/bus.js";
import type { Timer } from "../../mesh/link/runtime.js";
import { newIncarnation, packageVersion } from "../../mesh/process/identity.js";
import type { WorkerSettings } from "./worker-options.js";

/** How long a manager's or meter's wish for a slower pace holds, in milliseconds. */
const PACE_HOLDS_MS = 30_000;
/** The widest coalescing and the longest idle interval that may be asked for, in milliseconds. */
const MAX_PACE_MS = 10_000;
/** A heartbeat may be late by this part of an interval. */
const LATE_PART = 0.25;
/** A roll call is answered within this, so that a pool does not answer at once, in milliseconds. */
const ROLL_CALL_SPREAD_MS = 50;

/** What a manager asks for. Milliseconds; 0 for nothing. */
export interface HeartbeatPace {
  /** Changes are gathered for at least this long. */
  readonly coalesceMs: number;
  /** The time between two heartbeats while no job runs. */
  readonly idleIntervalMs: number;
}

export interface HeartbeatParts {
  readonly bus: Bus;
  readonly subject: string;
  readonly identity: HeartbeatIdentity;
  readonly figures: () => HeartbeatFigures;
  /** A heartbeat was sent; an answer to a control request is none. */
  readonly onSent: () => void;
  /** An interval has passed in which no heartbeat was due. */
  readonly onInterval: () => void;
  readonly coalesceMs: number;
}

export class Heartbeats {
  readonly #parts: HeartbeatParts;
  readonly #timers = new Set<Timer>();
  #seq = 0n;
  /** Regular heartbeats do not hold back one of a change. */
  #lastChangeMs = Number.NEGATIVE_INFINITY;
  #pending = false;
  #stopped = false;
  /** What was asked for, and until when it holds. */
  #pace = { coalesceMs: 0, idleIntervalMs: 0, untilMs: 0 };
  #sentAtMs = Number.NEGATIVE_INFINITY;
  /** Within which time the last heartbeat has promised the next one. */
  #promisedMs = 0;
  #interval: Timer | undefined;
  #stopListening: (() => void) | undefined;

  constructor(parts: HeartbeatParts) {
    this.#parts = parts;
  }

  /** Beats now and from now on. */
  start(): void {
    this.send();
    this.#interval = this.#parts.bus.runtime.every(this.#parts.identity.heartbeatIntervalMs, () => this.#onInterval());
    this.#stopListening = this.#parts.bus.on("reconnect", () => this.send());
  }

  /** The worker as it is now, with the next sequence number. It promises what the last heartbeat has promised: it is an answer, and not one of them. */
  snapshot(): Heartbeat {
    return this.#build(Math.max(this.#promisedMs, this.#parts.identity.heartbeatIntervalMs));
  }

  /** Beats now. */
  send(): void {
    const { bus, subject, figures, onSent } = this.#parts;
    const now = figures();
    this.#promisedMs = this.#intervalMs(now);
    this.#sentAtMs = bus.runtime.now();
    bus.publish(subject, toBinary(HeartbeatSchema, this.#build(this.#promisedMs, now)));
    onSent();
  }

  /** Something that a heartbeat says has changed. Cheap: called twice for every job. */
  readonly changed = (): void => {
    if (this.#pending || this.#stopped) return;
    this.#pending = true;
    const nowMs = this.#parts.bus.runtime.now();
    const waitMs = this.#lastChangeMs + this.#coalesceMs(nowMs) - nowMs;
    if (waitMs <= 0) this.#parts.bus.runtime.endOfTurn(this.#sendPending);
    else this.#later(this.#sendPending, waitMs);
  };

  /** Beats within the spread of a roll call. */
  rollCall(): void {
    this.#later(() => this.send(), this.#parts.bus.runtime.random() * ROLL_CALL_SPREAD_MS);
  }

  /** Sends fewer for a while. Of several wishes the slowest holds. */
  setPace({ coalesceMs, idleIntervalMs }: HeartbeatPace): void {
    const nowMs = this.#parts.bus.runtime.now();
    const now = nowMs < this.#pace.untilMs ? this.#pace : { coalesceMs: 0, idleIntervalMs: 0 };
    if (coalesceMs < now.coalesceMs || idleIntervalMs < now.idleIntervalMs) return;
    this.#pace = {
      coalesceMs: Math.min(coalesceMs, MAX_PACE_MS),
      idleIntervalMs: Math.min(idleIntervalMs, MAX_PACE_MS),
      untilMs: nowMs + PACE_HOLDS_MS,
    };
  }

  /** No heartbeat from now on but those that are asked for by {@link beat}. */
  stop(): void {
    this.#stopped = true;
    this.#parts.bus.runtime.cancel(this.#interval);
    for (const timer of this.#timers) this.#parts.bus.runtime.cancel(timer);
    this.#timers.clear();
    this.#stopListening?.();
  }

  #build(heartbeatIntervalMs: number, now = this.#parts.figures()): Heartbeat {
    const { bus, identity } = this.#parts;
    this.#seq += 1n;
    return buildHeartbeat({ ...identity, heartbeatIntervalMs }, now, this.#seq, bus.runtime.wallNow());
  }

  /** The next one is left to the next interval when that is soon enough for what the last one has promised. */
  #onInterval(): void {
    const { bus, identity, figures, onInterval } = this.#parts;
    const { heartbeatIntervalMs } = identity;
    const nextAfterMs = bus.runtime.now() - this.#sentAtMs + heartbeatIntervalMs;
    const isSoonEnough = nextAfterMs <= this.#promisedMs + LATE_PART * heartbeatIntervalMs;
    if (isSoonEnough && isIdle(figures())) onInterval();
    else this.send();
  }

  /**
   * Within which time the next heartbeat comes: a whole number of the worker's own intervals.
   *
   * More than one only when the next change is told at once. So a job never runs at a worker of which less is expected.
   */
  #intervalMs(now: HeartbeatFigures): number {
    const { heartbeatIntervalMs } = this.#parts.identity;
    const { idleIntervalMs, untilMs } = this.#pace;
    const nowMs = this.#parts.bus.runtime.now();
    const sinceChangeMs = nowMs - this.#lastChangeMs;
    const tellsAtOnce = !this.#pending && sinceChangeMs >= Math.max(this.#coalesceMs(nowMs), heartbeatIntervalMs);
    const mayBeSlow = nowMs < untilMs && idleIntervalMs > heartbeatIntervalMs;
    if (!mayBeSlow || !tellsAtOnce || !isIdle(now)) return heartbeatIntervalMs;
    return Math.ceil(idleIntervalMs / heartbeatIntervalMs) * heartbeatIntervalMs;
  }

  readonly #sendPending = (): void => {
    if (!this.#pending || this.#stopped) return;
    this.#pending = false;
    this.#lastChangeMs = this.#parts.bus.runtime.now();
    this.send();
  };

  #later(work: () => void, ms: number): void {
    const timer = this.#parts.bus.runtime.after(ms, () => {
      this.#timers.delete(timer);
      work();
    });
    this.#timers.add(timer);
  }

  #coalesceMs(nowMs: number): number {
    return nowMs < this.#pace.untilMs
      ? Math.max(this.#parts.coalesceMs, this.#pace.coalesceMs)
      : this.#parts.coalesceMs;
  }
}

/** It runs nothing, and is neither starting nor leaving. */
function isIdle({ running, state }: HeartbeatFigures): boolean {
  return running === 0 && (state === WorkerState.READY || state === WorkerState.PAUSED);
}

/** How many ids of running jobs a heartbeat carries. */
export const RUNNING_IDS_LIMIT = 64;
/** The protocol that this version speaks: nonces and leases. */
const PROTOCOL_VERSION = 2;

/** What stays the same for a worker's whole life. */
export interface HeartbeatIdentity {
  readonly pool: string;
  readonly worker: string;
  readonly incarnation: bigint;
  readonly isolation: Isolation;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly heartbeatIntervalMs: number;
  /** Milliseconds since the epoch. */
  readonly startedAtMs: number;
}

/** What changes from one heartbeat to the next. */
export interface HeartbeatFigures {
  readonly state: WorkerState;
  readonly slots: number;
  readonly busy: number;
  readonly stuck: number;
  readonly doneTotal: number;
  readonly failedTotal: number;
  readonly acceptedTotal: number;
  readonly refusedTotal: number;
  readonly running: number;
  /** At most {@link RUNNING_IDS_LIMIT}. */
  readonly runningIds: readonly string[];
  /** For each id, the nonce of its submission, or "". */
  readonly runningNonces: readonly string[];
  readonly loopLagMs: number;
  /** What the broker refuses although the worker needs it; at most 16. */
  readonly missing: readonly string[];
}

/** Builds one heartbeat. @param sentAtMs wall clock, milliseconds since the epoch */
export function buildHeartbeat(
  who: HeartbeatIdentity,
  now: HeartbeatFigures,
  seq: bigint,
  sentAtMs: number,
): Heartbeat {
  return create(HeartbeatSchema, {
    pool: who.pool,
    worker: who.worker,
    incarnation: who.incarnation,
    seq,
    state: now.state,
    slots: now.slots,
    busy: now.busy,
    jobsDone: BigInt(now.doneTotal),
    jobsFailed: BigInt(now.failedTotal),
    acceptedTotal: BigInt(now.acceptedTotal),
    refusedTotal: BigInt(now.refusedTotal),
    runningJobs: [...now.runningIds],
    runningTruncated: now.running > now.runningIds.length,
    loopLagMs: now.loopLagMs,
    isolation: who.isolation,
    host: who.host,
    pid: who.pid,
    version: who.version,
    labels: { ...who.labels },
    heartbeatIntervalMs: who.heartbeatIntervalMs,
    stuck: now.stuck,
    startedAt: timestampFromMs(who.startedAtMs),
    takesBundles: true,
    protocolVersion: PROTOCOL_VERSION,
    runningNonces: now.runningNonces.some((nonce) => nonce !== "") ? [...now.runningNonces] : [],
    missingPermissions: [...now.missing],
    answersLaterAttempts: true,
    sentAtMs: BigInt(Math.round(sentAtMs)),
  });
}

/** Makes the sender of heartbeats of one process start: a new incarnation. */
export function makeHeartbeats(
  bus: Bus,
  settings: WorkerSettings,
  isolation: Isolation,
  source: Pick<HeartbeatParts, "figures" | "onSent" | "onInterval">,
): Heartbeats {
  return new Heartbeats({
    bus,
    subject: settings.subjects.heartbeat(settings.pool, settings.id),
    coalesceMs: settings.coalesceMs,
    ...source,
    identity: {
      ...settings,
      worker: settings.id,
      incarnation: newIncarnation(bus.runtime.wallNow(), bus.runtime.random),
      isolation,
      host: hostname(),
      pid: process.pid,
      version: packageVersion(),
      startedAtMs: bus.runtime.wallNow(),
    },
  });
}
