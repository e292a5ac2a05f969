/**
 * Waits for the outcome of one durable job.
 *
 * Decided here: three ways to hear of it. A notice of the manager that stored it;
 * the stream's own word, for those who did not enqueue the job; and a look into the
 * stream: at the begin, after a reconnect, and now and then, since both others may be
 * lost. A job that is not live, waits for no time and has no outcome ends the wait as `not_found`.
 */
import { findLater } from "../../mesh/durable/later/find-later.js";
import type { DurableNames } from "../../mesh/durable/names.js";
import { decodeOutcome } from "../../mesh/durable/outcome.js";
import type { LaneStore } from "../../mesh/durable/store.js";
import { PoolError } from "../../mesh/errors.js";
import type { Outcome } from "../../mesh/job/job.js";
import type { Bus } from "../../mesh/link/bus.js";
import type { Timer } from "../../mesh/link/runtime.js";
import type { Priority } from "../../mesh/wire/headers.js";
import { headersOf } from "../../mesh/wire/wire-headers.js";
import type { Notice } from "./notices.js";

/** What it works with. */
export interface WaitParts {
  readonly bus: Bus;
  readonly names: DurableNames;
  readonly store: LaneStore;
  readonly pool: string;
}

/** Which job. */
export interface Awaited {
  readonly id: string;
  /** The levels at which it may be live. */
  readonly levels: readonly Priority[];
  /** The notice that this client asked for; undefined when it did not enqueue the job. */
  readonly notice?: Notice | undefined;
  /** Outcomes up to this sequence are of an earlier job of this id. */
  readonly after: number;
  /** When it was begun to be waited for, monotonic milliseconds; default now. Its notice may have been lost since. */
  readonly sinceMs?: number;
  /** Whether a job that is not there yet will be; undefined for one that was there. @throws PoolError */
  readonly mayCome?: () => Promise<boolean>;
}

/** How long. */
export interface WaitOptions {
  /** In milliseconds; default for ever. The job goes on. */
  timeoutMs?: number;
  /** Gives up waiting. The job goes on. */
  signal?: AbortSignal;
}

/** The wait between two looks into the stream, in milliseconds: doubled up to the longest, and spread by a fifth. */
const FIRST_LOOK_MS = 5_000;
const LONGEST_LOOK_MS = 30_000;
const SPREAD = 0.2;
/** So many looks in a row must find neither the job nor an outcome: a replica may be a moment behind. */
const LOOKS_TO_MISS = 2;
const SECOND_LOOK_MS = 500;

export class OutcomeWait {
  readonly #parts: WaitParts;
  readonly #job: Awaited;
  readonly #off: (() => void)[] = [];
  #timer: Timer | undefined;
  #everyMs = FIRST_LOOK_MS;
  #missed = 0;
  #over = false;
  #settle: (end: Outcome | PoolError) => void = () => {};

  constructor(parts: WaitParts, job: Awaited) {
    this.#parts = parts;
    this.#job = job;
  }

  /** Resolves with the outcome. @throws PoolError `deadline_exceeded`, `canceled`, `not_found` */
  run({ timeoutMs, signal }: WaitOptions = {}): Promise<Outcome> {
    const { runtime } = this.#parts.bus;
    return new Promise((resolve, reject) => {
      this.#settle = (end) => {
        if (this.#over) return;
        this.#over = true;
        runtime.cancel(this.#timer);
        for (const off of this.#off) off();
        if (end instanceof PoolError) reject(end);
        else resolve(end);
      };
      if (signal?.aborted) return this.#settle(gaveUp());
      this.#listen(signal);
      if (timeoutMs !== undefined) {
        const nowMs = runtime.now();
        const leftMs = Math.max(0, (this.#job.sinceMs ?? nowMs) + timeoutMs - nowMs);
        const limit = runtime.after(leftMs, () => this.#settle(tooLate(timeoutMs)));
        this.#off.push(() => runtime.cancel(limit));
      }
    });
  }

  /** Ends the wait. */
  stop(): void {
    this.#settle(stopped());
  }

  #listen(signal: AbortSignal | undefined): void {
    const { bus, names, pool } = this.#parts;
    const { notice, id, sinceMs } = this.#job;
    const onAbort = (): void => this.#settle(gaveUp());
    signal?.addEventListener("abort", onAbort);
    this.#off.push(() => signal?.removeEventListener("abort", onAbort));
    this.#off.push(bus.on("reconnect", () => void this.#look()));
    if (notice !== undefined) {
      this.#off.push(notice.listen((outcome) => this.#settle(outcome)));
      if (sinceMs === undefined) return this.#lookLater(FIRST_LOOK_MS);
      return void this.#look();
    }
    const subscription = bus.subscribe(names.ended(pool, id), (msg) => {
      const headers = headersOf(msg);
      this.#onStored(headers, msg.data.slice(), Number(headers?.get("Nats-Sequence") || Number.NaN));
    });
    this.#off.push(() => subscription.unsubscribe());
    void bus.flush().then(() => this.#look());
  }

  #lookLater(ms: number): void {
    if (this.#over) return;
    const { runtime } = this.#parts.bus;
    runtime.cancel(this.#timer);
    this.#timer = runtime.after(ms * (1 + SPREAD * (2 * runtime.random() - 1)), () => void this.#look());
  }

  async #look(): Promise<void> {
    if (this.#over) return;
    const { bus, names, store, pool } = this.#parts;
    const { id, levels } = this.#job;
    this.#everyMs = Math.min(LONGEST_LOOK_MS, this.#everyMs * 2);
    if (!bus.connected) return this.#lookLater(this.#everyMs);
    try {
      // In this order: an outcome is stored before its job is deleted.
      const jobs = levels.map((level) => store.lastShown(names.jobsStream(pool), names.job(pool, level, id)));
      const isLive = (await Promise.all(jobs)).some((job) => job !== undefined);
      const stored = await store.lastShown(names.outcomesStream, names.outcome(pool, id));
      if (stored !== undefined && this.#onStored(stored.headers, stored.payload, stored.sequence)) return;
      const isStored = isLive || (await findLater({ names, store }, pool, id)) !== undefined;
      const isKnown = isStored || (await this.#job.mayCome?.()) === true;
      this.#missed = isKnown ? 0 : this.#missed + 1;
    } catch {
      this.#missed = 0;
    }
    if (this.#missed >= LOOKS_TO_MISS) return this.#settle(notFound());
    this.#lookLater(this.#missed > 0 ? SECOND_LOOK_MS : this.#everyMs);
  }

  #onStored(headers: Parameters<typeof decodeOutcome>[1], payload: Uint8Array, sequence: number): boolean {
    if (sequence <= this.#job.after) return false;
    const decoded = decodeOutcome(this.#job.id, headers, payload);
    if (decoded === undefined) return false;
    this.#settle(decoded.outcome);
    return true;
  }
}

/** Neither a live job nor a kept outcome has this id. */
export function notFound(): PoolError {
  return new PoolError("not_found", "no live job has this id, and no outcome is kept", { field: "job" });
}

/** Nobody waits any more. */
export function stopped(): PoolError {
  return new PoolError("canceled", "the client was closed; the job goes on");
}

function gaveUp(): PoolError {
  return new PoolError("canceled", "the caller gave up waiting; the job goes on");
}

function tooLate(timeoutMs: number): PoolError {
  return new PoolError("deadline_exceeded", `no outcome within ${timeoutMs} ms; the job goes on`);
}
