/**
 * The registry of a pool's workers, as one manager knows them. Pure.
 *
 * It decides whether the pool has room and which worker a job is assigned to. It
 * sends nothing.
 *
 * Free slots are an estimate. A worker's own number (in a heartbeat or a reply)
 * cannot include the assignments that are still on their way to it. So the truth
 * lies between that number less the unanswered assignments, and that number
 * itself. The estimate follows this manager's own events and is clamped into that
 * interval whenever the worker speaks. Too high costs one refusal, which is a
 * round trip. Too low leaves a job waiting beside an idle slot.
 */
import type { Isolation } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { Fifo, type FifoNode } from "../../../mesh/job/containers.js";
import {
  type HeartbeatOrder,
  hasReplaced,
  intervalMs,
  isNewer,
  lostAfterMs,
} from "../../../mesh/wire/liveness-rules.js";

/** A worker as its manager knows it. */
export interface WorkerEntry {
  readonly id: string;
  incarnation: bigint;
  seq: bigint;
  state: WorkerState;
  slots: number;
  busy: number;
  /** Estimated slots that a job could be assigned to now. */
  free: number;
  /** Assignments that were sent and that the worker has not answered. */
  unanswered: number;
  /** Assignments in a row that timed out without an answer. */
  timeouts: number;
  /** Since when it does not answer when it is asked about a job: it is suspended, or what it says does not arrive. */
  unresponsiveFromMs: number;
  /** Nothing is assigned to it before this instant, monotonic milliseconds. */
  backOffUntilMs: number;
  lastHeardAtMs: number;
  /** When its last heartbeat came: what it accepted before is part of its own count. */
  countedAtMs: number;
  /** The same; time in which this manager heard nobody does not count. */
  beatAtMs: number;
  /** The last heartbeat of a process that says it is an earlier one. */
  rival: HeartbeatOrder | undefined;
  /** From a message to its answer, in milliseconds: the slowest of late; 0 before it was measured. */
  roundTripMs: number;
  heartbeatIntervalMs: number;
  isolation: Isolation;
  /** Several jobs may come to it in one message. */
  takesBundles: boolean;
  /** 2 and up know nonces and leases. */
  protocolVersion: number;
  /** A later attempt of a job that it has run is answered, and not run. */
  answersLater: boolean;
  /** What the broker refuses to it although it needs it. */
  missing: readonly string[];
  /** Its node in the line of workers with a free slot; kept while it is not in line, to spare an object for each job. */
  node: FifoNode<WorkerEntry> | undefined;
}

/** What the registry takes from a heartbeat. */
export interface WorkerHeartbeat {
  readonly worker: string;
  readonly incarnation: bigint;
  readonly seq: bigint;
  readonly state: WorkerState;
  readonly slots: number;
  readonly busy: number;
  readonly heartbeatIntervalMs: number;
  readonly isolation: Isolation;
  readonly takesBundles?: boolean;
  readonly protocolVersion?: number;
  readonly answersLaterAttempts?: boolean;
  readonly missingPermissions?: readonly string[];
}

const NOTHING: readonly string[] = [];

/** What a heartbeat meant: old ones are ignored; after a restart what ran before is gone. */
export type HeartbeatMeaning = "joined" | "restarted" | "updated" | "left" | "ignored";

const RESPONSIVE = Number.POSITIVE_INFINITY;
const TIMEOUTS_TO_BACK_OFF = 2;
const BACK_OFF_MS = 5_000;

export class Workers {
  readonly #workers = new Map<string, WorkerEntry>();
  /** Workers with a free slot. The first gets the next job and goes to the end. */
  readonly #line = new Fifo<WorkerEntry>();
  readonly #maxWorkers: number;
  #free = 0;
  #capacity = 0;
  #everHeard = false;
  #unresponsive = 0;

  /** @param maxWorkers known at once; the heartbeat of one more is ignored */
  constructor(maxWorkers = 20_000) {
    this.#maxWorkers = maxWorkers;
  }

  /** Whether any worker has ever sent a heartbeat for this pool. */
  get everHeard(): boolean {
    return this.#everHeard;
  }

  /** Estimated free slots of all READY workers. */
  get free(): number {
    return this.#free;
  }

  get size(): number {
    return this.#workers.size;
  }

  /** Slots of all READY workers. */
  get capacity(): number {
    return this.#capacity;
  }

  all(): Iterable<WorkerEntry> {
    return this.#workers.values();
  }

  get(id: string): WorkerEntry | undefined {
    return this.#workers.get(id);
  }

  /** Whether a heartbeat is the next of the process that is known under its id. */
  isCurrent({ worker, incarnation, seq }: Pick<WorkerHeartbeat, "worker" | "incarnation" | "seq">): boolean {
    const known = this.#workers.get(worker);
    return known !== undefined && known.incarnation === incarnation && seq > known.seq;
  }

  /** Whether a heartbeat is of an earlier process than the one that is known under its id: both are alive. */
  hasTwin({ worker, incarnation }: Pick<WorkerHeartbeat, "worker" | "incarnation">): boolean {
    const known = this.#workers.get(worker);
    return known !== undefined && incarnation < known.incarnation;
  }

  /** Takes in a heartbeat. What it lists as running must be accepted before (worker-list.ts). */
  heartbeat(heartbeat: WorkerHeartbeat, nowMs: number): HeartbeatMeaning {
    const known = this.#workers.get(heartbeat.worker);
    if (known !== undefined && !isNewer(heartbeat, known) && !hasReplaced(heartbeat, known, nowMs)) return "ignored";
    if (heartbeat.state === WorkerState.STOPPED) return this.remove(heartbeat.worker) ? "left" : "ignored";
    if (known === undefined && this.#workers.size >= this.#maxWorkers) return "ignored";
    this.#everHeard = true;
    const restarted = known !== undefined && known.incarnation !== heartbeat.incarnation;
    const worker = known ?? emptyEntry(heartbeat.worker);
    this.#workers.set(heartbeat.worker, worker);
    if (restarted) worker.timeouts = 0;
    if (worker.unresponsiveFromMs !== RESPONSIVE) this.#setUnresponsive(worker, RESPONSIVE);
    this.#capacity -= slotsOf(worker);
    Object.assign(worker, fieldsOf(heartbeat), { lastHeardAtMs: nowMs, countedAtMs: nowMs, beatAtMs: nowMs });
    this.#capacity += slotsOf(worker);
    const said = Math.max(0, heartbeat.slots - heartbeat.busy);
    this.#setFree(worker, known === undefined || restarted ? said : clamp(worker, said), nowMs);
    if (known === undefined) return "joined";
    return restarted ? "restarted" : "updated";
  }

  /** Chooses a worker with a free slot for an assignment and counts it. */
  assign(nowMs: number): WorkerEntry | undefined {
    for (let worker = this.#line.first; worker !== undefined; worker = this.#line.first) {
      if (worker.backOffUntilMs > nowMs) {
        this.#setFree(worker, 0, nowMs);
        continue;
      }
      this.#leaveLine(worker);
      this.#joinLine(worker);
      worker.unanswered += 1;
      this.#setFree(worker, worker.free - 1, nowMs);
      return worker;
    }
    return undefined;
  }

  /** One more message is on its way to a worker, for a job that it has already: it takes no slot. */
  join(id: string | undefined): WorkerEntry | undefined {
    const worker = id === undefined ? undefined : this.#workers.get(id);
    if (worker !== undefined) worker.unanswered += 1;
    return worker;
  }

  /** One assignment fewer is unanswered: it was answered, or its answer is not waited for any more. */
  answered(id: string): void {
    const worker = this.#workers.get(id);
    if (worker !== undefined && worker.unanswered > 0) worker.unanswered -= 1;
  }

  /** A worker took an offer: one slot fewer is free, unless a heartbeat since the offer may have counted it. */
  tookOffer(id: string, offeredAtMs: number): void {
    const worker = this.#workers.get(id);
    if (worker === undefined || worker.countedAtMs > offeredAtMs) return;
    this.#setFree(worker, worker.free - 1, worker.backOffUntilMs);
  }

  /** A job that was counted against the worker's free slots has ended there. */
  freed(id: string): void {
    const worker = this.#workers.get(id);
    if (worker !== undefined) this.#setFree(worker, worker.free + 1, worker.backOffUntilMs);
  }

  /** A reply has come. @param free the worker's own number of free slots, if it said one */
  said(id: string, free: number | undefined, nowMs: number): void {
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    worker.lastHeardAtMs = nowMs;
    if (worker.unresponsiveFromMs !== RESPONSIVE) this.#setUnresponsive(worker, RESPONSIVE);
    worker.timeouts = 0;
    worker.backOffUntilMs = 0;
    if (free !== undefined) this.#setFree(worker, clamp(worker, free), nowMs);
  }

  /** An assignment timed out: the worker gets nothing until it speaks, and after two in a row for five seconds. */
  timedOut(id: string, nowMs: number): void {
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    worker.timeouts += 1;
    if (worker.timeouts >= TIMEOUTS_TO_BACK_OFF) worker.backOffUntilMs = nowMs + BACK_OFF_MS;
    this.#setFree(worker, 0, nowMs);
  }

  /** A sign of life that says nothing about slots. */
  heard(id: string, nowMs: number): void {
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    worker.lastHeardAtMs = nowMs;
    this.#setUnresponsive(worker, RESPONSIVE);
  }

  /** Why a worker takes no jobs although it was not told so; undefined when there is none. */
  hindrance(): string | undefined {
    for (const { id, missing, state } of this.#workers.values()) {
      if (state === WorkerState.PAUSED && missing.length > 0)
        return `the broker refuses worker ${id}: ${missing.join(", ")}`;
    }
    return undefined;
  }

  /** Whether an offer to the queue group may go to a worker that answers nothing. */
  get hasUnresponsive(): boolean {
    return this.#unresponsive > 0;
  }

  /** The workers that an answer can be expected of, drained and paused ones too; and that may have what was sent then. */
  answering(sentAtMs = RESPONSIVE): string[] {
    const ids: string[] = [];
    for (const { id, unresponsiveFromMs } of this.#workers.values()) if (unresponsiveFromMs >= sentAtMs) ids.push(id);
    return ids;
  }

  /** A worker did not answer a question. */
  didNotAnswer(id: string, nowMs: number): void {
    const worker = this.#workers.get(id);
    if (worker !== undefined) this.#setUnresponsive(worker, nowMs);
  }

  /** Nobody listened at its subject: nothing can be assigned to it until its next heartbeat. */
  unreachable(id: string, nowMs: number): void {
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    worker.timeouts = 0;
    this.#setFree(worker, 0, nowMs);
  }

  /** Forgets a worker; false when it was not known. */
  remove(id: string): boolean {
    const worker = this.#workers.get(id);
    if (worker === undefined) return false;
    this.#free -= worker.free;
    this.#capacity -= slotsOf(worker);
    this.#setUnresponsive(worker, RESPONSIVE);
    if (worker.free > 0) this.#leaveLine(worker);
    return this.#workers.delete(id);
  }

  /** The workers that have been silent for three of their intervals. */
  silent(nowMs: number): string[] {
    const ids: string[] = [];
    for (const worker of this.#workers.values()) {
      if (nowMs - worker.lastHeardAtMs > lostAfterMs(worker.heartbeatIntervalMs)) ids.push(worker.id);
    }
    return ids;
  }

  /** After an outage of this manager's own connection: no worker has been silent. */
  resetSilence(nowMs: number): void {
    for (const worker of this.#workers.values()) {
      worker.lastHeardAtMs = nowMs;
      worker.beatAtMs = nowMs;
    }
  }

  /** This manager stalled for `gapMs` and could hear nobody: that time is not a worker's silence. */
  excuseStall(gapMs: number, nowMs: number): void {
    for (const worker of this.#workers.values()) {
      worker.lastHeardAtMs = Math.min(nowMs, worker.lastHeardAtMs + gapMs);
      worker.beatAtMs = Math.min(nowMs, worker.beatAtMs + gapMs);
    }
  }

  /** A worker's answer took this long. A slow one counts at once, and fades over the next quick ones. */
  measured(id: string, ms: number): void {
    const worker = this.#workers.get(id);
    if (worker !== undefined) worker.roundTripMs = ms > worker.roundTripMs ? ms : worker.roundTripMs * 0.9 + ms * 0.1;
  }

  /** Whether a READY worker has never answered: nobody knows how far away it is. */
  get hasUnmeasured(): boolean {
    for (const { roundTripMs, state } of this.#workers.values()) {
      if (roundTripMs === 0 && state === WorkerState.READY) return true;
    }
    return false;
  }

  /** The slowest round trip of all workers, in milliseconds; undefined while none was measured. */
  slowestMs(): number | undefined {
    let slowest = 0;
    for (const { roundTripMs } of this.#workers.values()) slowest = Math.max(slowest, roundTripMs);
    return slowest === 0 ? undefined : slowest;
  }

  #setUnresponsive(worker: WorkerEntry, fromMs: number): void {
    if ((worker.unresponsiveFromMs === RESPONSIVE) === (fromMs === RESPONSIVE)) return;
    worker.unresponsiveFromMs = fromMs;
    this.#unresponsive += fromMs === RESPONSIVE ? -1 : 1;
  }

  #setFree(worker: WorkerEntry, wanted: number, nowMs: number): void {
    const usable = worker.state === WorkerState.READY && worker.backOffUntilMs <= nowMs;
    const free = usable ? Math.max(0, Math.min(wanted, worker.slots)) : 0;
    if (free === worker.free) return;
    if (free === 0) this.#leaveLine(worker);
    else if (worker.free === 0) this.#joinLine(worker);
    this.#free += free - worker.free;
    worker.free = free;
  }

  #joinLine(worker: WorkerEntry): void {
    worker.node = this.#line.append(worker.node ?? { value: worker, previous: undefined, next: undefined });
  }

  #leaveLine(worker: WorkerEntry): void {
    if (worker.node !== undefined) this.#line.remove(worker.node);
  }
}

/** What a worker adds to the pool's capacity. */
function slotsOf({ state, slots }: WorkerEntry): number {
  return state === WorkerState.READY ? slots : 0;
}

/** The estimate, moved into what the worker's own number allows. */
function clamp(worker: WorkerEntry, said: number): number {
  return Math.min(Math.max(worker.free, said - worker.unanswered), said);
}

function fieldsOf(heartbeat: WorkerHeartbeat): Partial<WorkerEntry> {
  const { incarnation, seq, state, slots, busy, isolation } = heartbeat;
  const heartbeatIntervalMs = intervalMs(heartbeat.heartbeatIntervalMs);
  const { takesBundles = false, protocolVersion = 0, answersLaterAttempts: answersLater = false } = heartbeat;
  const { missingPermissions: missing = NOTHING } = heartbeat;
  const said = { incarnation, seq, state, slots, busy, isolation, heartbeatIntervalMs };
  return { ...said, takesBundles, protocolVersion, answersLater, missing, rival: undefined };
}

function emptyEntry(id: string): WorkerEntry {
  return {
    id,
    incarnation: 0n,
    seq: 0n,
    state: WorkerState.UNSPECIFIED,
    slots: 0,
    busy: 0,
    free: 0,
    unanswered: 0,
    timeouts: 0,
    unresponsiveFromMs: RESPONSIVE,
    backOffUntilMs: 0,
    lastHeardAtMs: 0,
    countedAtMs: 0,
    beatAtMs: 0,
    rival: undefined,
    roundTripMs: 0,
    heartbeatIntervalMs: 1_000,
    isolation: 0,
    takesBundles: false,
    protocolVersion: 0,
    answersLater: false,
    missing: NOTHING,
    node: undefined,
  };
}
