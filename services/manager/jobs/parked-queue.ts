/**
 * The parked queue: jobs held by the manager until a slot is free.
 *
 * Pure. Decides who goes next: within one priority clients take turns, and one
 * client's jobs keep their order. Between priorities a step is worth ten
 * seconds of waiting: a "high" job goes before every "normal" one that has
 * waited less than ten seconds longer, so nobody starves. Bounded in number,
 * in bytes, and in what one client may hold.
 */

import { Fifo, type FifoNode } from "../../../mesh/job/containers.js";
import type { Priority } from "../../../mesh/wire/headers.js";

/** What the queue needs to know of a job. */
export interface Parkable {
  readonly payloadBytes: number;
  readonly priority: Priority;
  /** Whose share it counts for. */
  readonly client: string;
  /** When it was submitted, monotonic milliseconds. */
  readonly submittedAtMs: number;
  /** Where it is parked: its place among the jobs of its client; undefined when it is not. Set by the queue only. */
  place: FifoNode<Parkable> | undefined;
}

/** The bounds of the queue. */
export interface ParkedLimits {
  /** Jobs. */
  readonly jobs: number;
  /** Payload bytes. */
  readonly bytes: number;
  /** The part of both that one client may hold, over 0, at most 1. */
  readonly clientShare: number;
}

/** How much earlier each priority counts, in milliseconds: the aging rule. */
const PRIORITY_HEAD_START_MS = { high: 20_000, normal: 10_000, low: 0 } as const;

interface ClientQueue<J> {
  readonly client: string;
  readonly jobs: Fifo<J>;
  turn: FifoNode<ClientQueue<J>>;
}

class Level<J extends Parkable> {
  readonly turns = new Fifo<ClientQueue<J>>();
  readonly #clients = new Map<string, ClientQueue<J>>();

  /** The job whose turn it is. */
  get head(): J | undefined {
    return this.turns.first?.jobs.first;
  }

  add(job: J, front: boolean): FifoNode<J> {
    let queue = this.#clients.get(job.client);
    if (queue === undefined) {
      const fresh = { client: job.client, jobs: new Fifo<J>() } as ClientQueue<J>;
      fresh.turn = front ? this.turns.unshift(fresh) : this.turns.push(fresh);
      this.#clients.set(job.client, fresh);
      queue = fresh;
    }
    return front ? queue.jobs.unshift(job) : queue.jobs.push(job);
  }

  /** @param served whether it was its client's turn, which then ends */
  remove({ client }: J, place: FifoNode<J>, served: boolean): void {
    const queue = this.#clients.get(client) as ClientQueue<J>;
    if (served && queue.jobs.size > 1) this.#rotate();
    queue.jobs.remove(place);
    if (queue.jobs.size > 0) return;
    this.turns.remove(queue.turn);
    this.#clients.delete(client);
  }

  /** Ends the turn of the client at the head. */
  #rotate(): void {
    const queue = this.turns.shift();
    if (queue !== undefined) queue.turn = this.turns.push(queue);
  }
}

/** Jobs that wait, in the order in which they will be served. */
export class ParkedQueue<J extends Parkable> {
  readonly #limits: ParkedLimits;
  readonly #levels: Record<Priority, Level<J>> = { high: new Level(), normal: new Level(), low: new Level() };
  readonly #held = new Map<string, { jobs: number; bytes: number }>();
  #bytes = 0;
  #size = 0;

  constructor(limits: ParkedLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#size;
  }

  /** Payload bytes held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Which bound another job would break, if any. */
  refusal(job: Parkable): "jobs" | "bytes" | "share" | undefined {
    if (this.size >= this.#limits.jobs) return "jobs";
    if (this.#bytes + job.payloadBytes > this.#limits.bytes) return "bytes";
    const held = this.#held.get(job.client);
    if (held === undefined || this.#limits.clientShare >= 1) return undefined;
    const share = this.#limits.clientShare;
    if (held.jobs + 1 > Math.max(1, this.#limits.jobs * share)) return "share";
    return held.bytes + job.payloadBytes > this.#limits.bytes * share ? "share" : undefined;
  }

  /** Holds a job. The caller has asked refusal() first, but for one that was taken before. */
  park(job: J): void {
    this.#add(job, false);
  }

  /** Puts back a job that was taken and refused by its worker: it goes next among those of its client. */
  putBack(job: J): void {
    this.#add(job, true);
  }

  /** Takes the job whose turn it is. */
  take(): J | undefined {
    const level = this.#next();
    const job = level?.head;
    if (level === undefined || job === undefined) return undefined;
    this.#forget(job);
    return job;
  }

  /** Removes a job that was canceled or is past its deadline; false when it is not here. */
  remove(job: J): boolean {
    if (job.place === undefined) return false;
    this.#forget(job, false);
    return true;
  }

  /** The submit instant of the oldest job, monotonic milliseconds; undefined when empty. */
  oldestSubmittedAtMs(): number | undefined {
    let oldest: number | undefined;
    for (const level of Object.values(this.#levels)) {
      for (const queue of level.turns) {
        const atMs = queue.jobs.first?.submittedAtMs;
        if (atMs !== undefined && (oldest === undefined || atMs < oldest)) oldest = atMs;
      }
    }
    return oldest;
  }

  #add(job: J, front: boolean): void {
    job.place = this.#levels[job.priority].add(job, front);
    this.#size += 1;
    this.#bytes += job.payloadBytes;
    const held = this.#held.get(job.client) ?? { jobs: 0, bytes: 0 };
    held.jobs += 1;
    held.bytes += job.payloadBytes;
    this.#held.set(job.client, held);
  }

  #forget(job: J, served = true): void {
    const place = job.place as FifoNode<J>;
    job.place = undefined;
    this.#size -= 1;
    this.#levels[job.priority].remove(job, place, served);
    this.#bytes -= job.payloadBytes;
    const held = this.#held.get(job.client) as { jobs: number; bytes: number };
    held.jobs -= 1;
    held.bytes -= job.payloadBytes;
    if (held.jobs === 0) this.#held.delete(job.client);
  }

  #next(): Level<J> | undefined {
    let best: Level<J> | undefined;
    let bestKey = Number.POSITIVE_INFINITY;
    for (const priority of ["high", "normal", "low"] as const) {
      const head = this.#levels[priority].head;
      if (head === undefined) continue;
      const key = head.submittedAtMs - PRIORITY_HEAD_START_MS[priority];
      if (key < bestKey) {
        best = this.#levels[priority];
        bestKey = key;
      }
    }
    return best;
  }
}
