/**
 * The roster: what a manager knows of a pool's workers and their free slots.
 *
 * Pure: no NATS, no timer, time is an argument. It decides whether the pool has
 * room and which worker a job is handed to; it sends nothing.
 *
 * Free slots are an estimate. A worker's own number (in a heartbeat or a reply)
 * cannot count the hand-offs that are still on their way to it, so the truth
 * lies between that number less the unanswered hand-offs and that number
 * itself. The estimate follows this manager's own events and is clamped into
 * that interval whenever the worker speaks. Too high costs one refusal, a round
 * trip; too low would leave a job waiting beside an idle slot.
 */
import type { Isolation } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { Fifo, type FifoNode } from "./fifo.js";

/** A worker as its manager knows it. */
export interface RosterWorker {
  readonly id: string;
  incarnation: bigint;
  seq: bigint;
  state: WorkerState;
  slots: number;
  busy: number;
  /** Estimated slots that a job could be handed to now. */
  free: number;
  /** Hand-offs sent that the worker has not answered. */
  unanswered: number;
  /** Hand-offs in a row that were never answered. */
  strikes: number;
  /** Nothing is handed to it before this instant, monotonic milliseconds. */
  shunnedUntil: number;
  lastHeardAt: number;
  /** From a message to its answer, in milliseconds: the slowest of late; 0 before it was measured. */
  roundTripMs: number;
  heartbeatIntervalMs: number;
  isolation: Isolation;
  /** Several jobs may come to it in one message. */
  takesBundles: boolean;
  /** Its place among the workers with a free slot, kept while it has none: one for each job would be garbage. */
  turn: FifoNode<RosterWorker> | undefined;
}

/** What the roster takes from a heartbeat. */
export interface Beat {
  readonly worker: string;
  readonly incarnation: bigint;
  readonly seq: bigint;
  readonly state: WorkerState;
  readonly slots: number;
  readonly busy: number;
  readonly heartbeatIntervalMs: number;
  readonly isolation: Isolation;
  readonly takesBundles?: boolean;
}

/** What a heartbeat meant: old ones are ignored; a restart means that what ran before is gone. */
export type BeatMeaning = "joined" | "restarted" | "updated" | "left" | "ignored";

/** What a worker's reply said about a job. */
export interface Answer {
  readonly event: "accepted" | "busy" | "ended";
  /** The worker's own number, if it said one. */
  readonly free: number | undefined;
  /** This is the first answer to a hand-off. */
  readonly handOff: boolean;
  /** The job was already counted against the worker's free slots. */
  readonly counted: boolean;
}

/** Missed heartbeat intervals after which a worker is LOST. */
export const LOST_AFTER_INTERVALS = 3;
const STRIKES_TO_SHUN = 2;
const SHUN_MS = 5_000;

export class Roster {
  readonly #workers = new Map<string, RosterWorker>();
  /** Workers with a free slot; the first is handed the next job, then goes to the end. */
  readonly #free = new Fifo<RosterWorker>();
  readonly #maxWorkers: number;
  #totalFree = 0;
  #capacity = 0;
  #everBeaten = false;

  constructor(maxWorkers = 20_000) {
    this.#maxWorkers = maxWorkers;
  }

  /** Whether anybody has ever beaten for this pool. */
  get everBeaten(): boolean {
    return this.#everBeaten;
  }

  /** Estimated free slots of all READY workers. */
  get free(): number {
    return this.#totalFree;
  }

  get size(): number {
    return this.#workers.size;
  }

  /** Slots of all READY workers. */
  get capacity(): number {
    return this.#capacity;
  }

  workers(): Iterable<RosterWorker> {
    return this.#workers.values();
  }

  get(id: string): RosterWorker | undefined {
    return this.#workers.get(id);
  }

  /** Takes a heartbeat in. */
  beat(beat: Beat, now: number): BeatMeaning {
    const known = this.#workers.get(beat.worker);
    if (known !== undefined && isOld(known, beat)) return "ignored";
    if (beat.state === WorkerState.STOPPED) return this.remove(beat.worker) ? "left" : "ignored";
    if (known === undefined && this.#workers.size >= this.#maxWorkers) return "ignored";
    this.#everBeaten = true;
    const restarted = known !== undefined && known.incarnation !== beat.incarnation;
    const worker = known ?? emptyWorker(beat.worker);
    this.#workers.set(beat.worker, worker);
    if (restarted) this.#forgetHandOffs(worker);
    this.#capacity -= slotsOf(worker);
    Object.assign(worker, fieldsOf(beat), { lastHeardAt: now });
    this.#capacity += slotsOf(worker);
    const said = Math.max(0, beat.slots - beat.busy);
    this.#setFree(worker, known === undefined || restarted ? said : clamp(worker, said), now);
    if (known === undefined) return "joined";
    return restarted ? "restarted" : "updated";
  }

  /** Takes a reply's word in. */
  answered(id: string, answer: Answer, now: number): void {
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    worker.lastHeardAt = now;
    worker.strikes = 0;
    worker.shunnedUntil = 0;
    if (answer.handOff) worker.unanswered = Math.max(0, worker.unanswered - 1);
    let free = worker.free;
    if (answer.event === "ended" && answer.counted) free += 1;
    if (answer.event === "accepted" && !answer.counted) free -= 1;
    if (answer.free !== undefined) {
      const lowest = Math.max(0, answer.free - worker.unanswered);
      free = Math.min(Math.max(free, lowest), answer.free);
    }
    this.#setFree(worker, free, now);
  }

  /** Chooses a worker with a free slot and counts the hand-off. */
  handOff(now: number): RosterWorker | undefined {
    for (let worker = this.#free.first; worker !== undefined; worker = this.#free.first) {
      if (worker.shunnedUntil > now) {
        this.#setFree(worker, 0, now);
        continue;
      }
      this.#endTurn(worker);
      this.#takeTurn(worker);
      worker.unanswered += 1;
      this.#setFree(worker, worker.free - 1, now);
      return worker;
    }
    return undefined;
  }

  /** A hand-off that will get no answer any more: its job ended meanwhile. */
  released(id: string): void {
    const worker = this.#workers.get(id);
    if (worker !== undefined) worker.unanswered = Math.max(0, worker.unanswered - 1);
  }

  /** A hand-off was never answered: the worker gets nothing until it speaks, and after two in a row for five seconds. */
  unanswered(id: string, now: number): void {
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    worker.unanswered = Math.max(0, worker.unanswered - 1);
    worker.strikes += 1;
    if (worker.strikes >= STRIKES_TO_SHUN) worker.shunnedUntil = now + SHUN_MS;
    this.#setFree(worker, 0, now);
  }

  /** A sign of life that says nothing about slots. */
  heard(id: string, now: number): void {
    const worker = this.#workers.get(id);
    if (worker !== undefined) worker.lastHeardAt = now;
  }

  /** Nothing can be handed to it until its next heartbeat. */
  unreachable(id: string, now: number): void {
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    this.#forgetHandOffs(worker);
    this.#setFree(worker, 0, now);
  }

  remove(id: string): boolean {
    const worker = this.#workers.get(id);
    if (worker === undefined) return false;
    this.#totalFree -= worker.free;
    this.#capacity -= slotsOf(worker);
    if (worker.free > 0) this.#endTurn(worker);
    return this.#workers.delete(id);
  }

  /** Workers that have been silent for three of their intervals. */
  silent(now: number): string[] {
    const ids: string[] = [];
    for (const worker of this.#workers.values()) {
      if (now - worker.lastHeardAt > worker.heartbeatIntervalMs * LOST_AFTER_INTERVALS) ids.push(worker.id);
    }
    return ids;
  }

  /** After an outage of our own nobody is silent yet. */
  forgive(now: number): void {
    for (const worker of this.#workers.values()) worker.lastHeardAt = now;
  }

  /** We stood still for `gapMs` and could hear nobody: that time is no silence. */
  excuse(gapMs: number, now: number): void {
    for (const worker of this.#workers.values()) worker.lastHeardAt = Math.min(now, worker.lastHeardAt + gapMs);
  }

  /** A worker's answer took this long. A slow one counts at once, and is forgotten over the next quick ones. */
  measured(id: string, ms: number): void {
    const worker = this.#workers.get(id);
    if (worker !== undefined) worker.roundTripMs = ms > worker.roundTripMs ? ms : worker.roundTripMs * 0.9 + ms * 0.1;
  }

  /** The slowest round trip of all workers, in milliseconds; undefined while nobody was measured. */
  slowestMs(): number | undefined {
    let slowest = 0;
    for (const { roundTripMs } of this.#workers.values()) slowest = Math.max(slowest, roundTripMs);
    return slowest === 0 ? undefined : slowest;
  }

  #forgetHandOffs(worker: RosterWorker): void {
    worker.unanswered = 0;
    worker.strikes = 0;
  }

  #setFree(worker: RosterWorker, wanted: number, now: number): void {
    const usable = worker.state === WorkerState.READY && worker.shunnedUntil <= now;
    const free = usable ? Math.max(0, Math.min(wanted, worker.slots)) : 0;
    if (worker.free > 0 && free === 0) this.#endTurn(worker);
    if (worker.free === 0 && free > 0) this.#takeTurn(worker);
    this.#totalFree += free - worker.free;
    worker.free = free;
  }

  /** At the end of the line; once, while it has a free slot. */
  #takeTurn(worker: RosterWorker): void {
    worker.turn = this.#free.append(worker.turn ?? { value: worker, previous: undefined, next: undefined });
  }

  #endTurn(worker: RosterWorker): void {
    if (worker.turn !== undefined) this.#free.remove(worker.turn);
  }
}

/** What a worker adds to the pool's capacity. */
function slotsOf({ state, slots }: RosterWorker): number {
  return state === WorkerState.READY ? slots : 0;
}

function isOld(known: RosterWorker, beat: Beat): boolean {
  if (beat.incarnation !== known.incarnation) return beat.incarnation < known.incarnation;
  return beat.seq <= known.seq;
}

function clamp(worker: RosterWorker, said: number): number {
  return Math.min(Math.max(worker.free, said - worker.unanswered), said);
}

function fieldsOf(beat: Beat): Partial<RosterWorker> {
  const { incarnation, seq, state, slots, busy, isolation } = beat;
  const heartbeatIntervalMs = Math.min(Math.max(beat.heartbeatIntervalMs || 1_000, 100), 60_000);
  const takesBundles = beat.takesBundles === true;
  return { incarnation, seq, state, slots, busy, isolation, heartbeatIntervalMs, takesBundles };
}

function emptyWorker(id: string): RosterWorker {
  return {
    id,
    incarnation: 0n,
    seq: 0n,
    state: WorkerState.UNSPECIFIED,
    slots: 0,
    busy: 0,
    free: 0,
    unanswered: 0,
    strikes: 0,
    shunnedUntil: 0,
    lastHeardAt: 0,
    roundTripMs: 0,
    heartbeatIntervalMs: 1_000,
    isolation: 0,
    takesBundles: false,
    turn: undefined,
  };
}
