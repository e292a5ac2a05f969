/**
 * Tells on the bus what happens to jobs, while somebody asks for it.
 *
 * Decided here: for how long it is told, and how much. A manager sends at most
 * {@link EVENTS_PER_SECOND}. Where more happens, one job of so many is told, all its
 * events or none, so that what is told of a job is whole. What the bound leaves out
 * is counted, and the count goes with the next event.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type JobEventKind, JobEventSchema } from "../../../gen/poolmesh/v1/job_pb.js";
import { WATCH_MS } from "../../../mesh/inspect/follow-jobs.js";
import type { Outcome } from "../../../mesh/job/job.js";
import { EVENT_WORDS, type EventWord, encodeEvent } from "../../../mesh/job/job-events.js";
import { toTimestamp } from "../../../mesh/job/job-views.js";
import type { Bus } from "../../../mesh/link/bus.js";
import type { Subjects } from "../../../mesh/wire/subjects.js";
import type { Attempt, Job, JobObserver } from "../jobs/job.js";
import { observe, unobserve } from "../jobs/observers.js";
import { errorOf, timesOf } from "../jobs/shown-job.js";
import type { Pool } from "../pool/pool.js";

/** Events that one manager sends within a second. */
export const EVENTS_PER_SECOND = 2_000;
const SECOND_MS = 1_000;
const MAX_ONE_IN = 2 ** 20;

/** What it works with. */
export interface JobEventsParts {
  readonly bus: Bus;
  readonly subjects: Subjects;
  /** This manager's id. */
  readonly manager: string;
  readonly pools: () => Iterable<Pool>;
  /** It tells although nobody asks. */
  readonly always: boolean;
}

export class JobEvents {
  readonly #parts: JobEventsParts;
  readonly #tellers = new WeakMap<Pool, Teller>();
  /** Until when events are asked for, by pool; of all pools under undefined. Monotonic milliseconds. */
  readonly #untilMs = new Map<string | undefined, number>();
  readonly #budget = new Budget();

  constructor(parts: JobEventsParts) {
    this.#parts = parts;
  }

  /** Somebody follows the jobs of a pool, or of all. */
  watch(pool: string | undefined): void {
    const nowMs = this.#parts.bus.runtime.now();
    this.#untilMs.set(pool, nowMs + WATCH_MS);
    for (const each of this.#parts.pools()) if (pool === undefined || each.name === pool) this.attach(each);
  }

  /** A pool is new, or is asked for: its jobs are told if they are asked for. */
  attach(pool: Pool): void {
    if (!this.#isWatched(pool.name)) return;
    let teller = this.#tellers.get(pool);
    if (teller === undefined) {
      teller = new Teller(pool.name, this.#parts, this.#budget);
      this.#tellers.set(pool, teller);
    }
    observe(pool.totals, teller);
  }

  /** Stops telling what nobody asks for any more. Called every second. */
  checkWatched(nowMs: number): void {
    if (this.#untilMs.size === 0) return;
    for (const [pool, untilMs] of this.#untilMs) if (untilMs <= nowMs) this.#untilMs.delete(pool);
    for (const pool of this.#parts.pools()) {
      const teller = this.#tellers.get(pool);
      if (teller !== undefined && !this.#isWatched(pool.name)) unobserve(pool.totals, teller);
    }
  }

  #isWatched(pool: string): boolean {
    return this.#parts.always || this.#untilMs.has(undefined) || this.#untilMs.has(pool);
  }
}

/** How many events may still be told, and of which jobs. */
export class Budget {
  /** One job of so many is told; a power of two, so that who is told at 8 is told at 4. */
  oneIn = 1;
  #fromMs = Number.NEGATIVE_INFINITY;
  #sent = 0;
  /** Events of this second, told or not. */
  #happened = 0;
  #dropped = 0;

  /** Whether an event of this job is told now. @param nowMs monotonic milliseconds */
  takes(id: string, nowMs: number): boolean {
    if (nowMs - this.#fromMs >= SECOND_MS) this.#nextSecond(nowMs);
    this.#happened += 1;
    if (this.oneIn > 1 && (hashOf(id) & (this.oneIn - 1)) !== 0) return false;
    if (this.#sent < EVENTS_PER_SECOND) {
      this.#sent += 1;
      return true;
    }
    this.#dropped += 1;
    return false;
  }

  /** Events that the bound left out since this was asked last. */
  takeDropped(): number {
    const dropped = this.#dropped;
    this.#dropped = 0;
    return dropped;
  }

  #nextSecond(nowMs: number): void {
    // After a pause nothing is known of how much happens.
    const seconds = Math.max(1, (nowMs - this.#fromMs) / SECOND_MS);
    const most = Math.ceil(this.#happened / seconds / EVENTS_PER_SECOND);
    this.oneIn = Math.min(MAX_ONE_IN, 2 ** Math.ceil(Math.log2(Math.max(1, most))));
    this.#fromMs = nowMs;
    this.#happened = 0;
    this.#sent = 0;
  }
}

type Said = Omit<MessageInitShape<typeof JobEventSchema>, "$typeName" | "kind">;

/** Tells of the jobs of one pool. */
class Teller implements JobObserver {
  readonly #pool: string;
  readonly #parts: JobEventsParts;
  readonly #budget: Budget;

  constructor(pool: string, parts: JobEventsParts, budget: Budget) {
    this.#pool = pool;
    this.#parts = parts;
    this.#budget = budget;
  }

  taken(job: Job): void {
    this.#tell("submitted", job, { payloadBytes: BigInt(job.payloadBytes) });
  }
  parked(job: Job): void {
    this.#tell("parked", job);
  }
  sent({ job, count }: Attempt, worker: string): void {
    this.#tell("sent", job, { attempt: count, worker });
  }
  refused({ job, count }: Attempt, worker: string): void {
    this.#tell("refused", job, { attempt: count, worker });
  }
  accepted({ job, count }: Attempt, worker: string): void {
    this.#tell("accepted", job, { attempt: count, worker });
  }
  revoked({ job, count, worker = "" }: Attempt): void {
    this.#tell("revoked", job, { attempt: count, worker });
  }
  ended(job: Job, outcome: Outcome, nowMs: number): void {
    const times = timesOf(job.submittedAtMs, job.attempt?.sentAtMs, nowMs);
    const payloadBytes = BigInt(job.payloadBytes);
    if (outcome.ok) {
      const { worker, attempt, payload } = outcome.result;
      this.#tell("succeeded", job, { ...times, payloadBytes, worker, attempt, resultBytes: BigInt(payload.length) });
    } else {
      const { worker, attempt, error } = outcome;
      this.#tell("failed", job, { ...times, payloadBytes, worker, attempt, error: errorOf(error) });
    }
  }

  #tell(word: EventWord, job: Job, said: Said = {}): void {
    const { bus, subjects, manager } = this.#parts;
    const { now, wallNow } = bus.runtime;
    if (!this.#budget.takes(job.id, now())) return;
    const kind: JobEventKind = EVENT_WORDS[word];
    const names = { pool: this.#pool, jobId: job.id, manager, client: job.client };
    const event = create(JobEventSchema, { kind, at: toTimestamp(wallNow()), ...names, ...said });
    const told = { event, oneIn: this.#budget.oneIn, dropped: this.#budget.takeDropped() };
    bus.publish(subjects.event(this.#pool, word), Buffer.from(encodeEvent(told)));
  }
}

/** FNV-1a, mixed. */
function hashOf(id: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < id.length; i += 1) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}
