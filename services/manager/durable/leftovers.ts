/**
 * Removes jobs that have ended and are in their stream all the same.
 *
 * A broker that is killed may forget that it deleted an acknowledged message,
 * while its consumer remembers the acknowledgement. Such a message is never
 * delivered again, but it occupies its id and counts for the stream's bounds.
 *
 * Decided here: a message is left over when its consumer has everything up to it
 * acknowledged, and its outcome is stored. One without an outcome is reported and
 * stays: after a power loss its outcome may be what was lost.
 */
import { decodeDurableJob } from "../../../mesh/durable/job.js";
import { type DurableNames, LEVELS } from "../../../mesh/durable/names.js";
import { sequenceOf } from "../../../mesh/durable/outcome.js";
import type { LaneStore, Stored } from "../../../mesh/durable/store.js";
import { DEFAULT_TIMEOUT_MS } from "../../../mesh/job/job.js";
import type { Logger } from "../../../mesh/process/log.js";
import type { Priority } from "../../../mesh/wire/headers.js";

/** What it works with. */
export interface LeftoversParts {
  readonly pool: string;
  readonly names: DurableNames;
  readonly store: LaneStore;
  readonly log: Logger;
}

/** Messages that are looked at in one sweep. */
const MOST_AT_ONCE = 1_000;
/** How often it is done, and how often for a while after the start and after a reconnect, in milliseconds. */
const EVERY_MS = 30_000;
const OFTEN_MS = 2_000;
const OFTEN_FOR_MS = 60_000;

export class Leftovers {
  readonly #parts: LeftoversParts;
  readonly #told = new Set<number>();
  #nextAtMs = Number.NEGATIVE_INFINITY;
  #oftenUntilMs: number;
  #sweeping = false;

  /** @param nowMs monotonic milliseconds */
  constructor(parts: LeftoversParts, nowMs: number) {
    this.#parts = parts;
    this.#oftenUntilMs = nowMs + OFTEN_FOR_MS;
  }

  /** The broker may have been killed. @param nowMs monotonic milliseconds */
  onReconnect(nowMs: number): void {
    this.#oftenUntilMs = nowMs + OFTEN_FOR_MS;
    this.#nextAtMs = nowMs + OFTEN_MS;
  }

  /** Sweeps when it is time. @param nowMs monotonic milliseconds */
  tick(nowMs: number): void {
    if (this.#sweeping || nowMs < this.#nextAtMs) return;
    this.#nextAtMs = nowMs + (nowMs < this.#oftenUntilMs ? OFTEN_MS : EVERY_MS);
    this.#sweeping = true;
    // What cannot be read now is read the next time.
    void this.#sweep()
      .catch(() => undefined)
      .finally(() => {
        this.#sweeping = false;
      });
  }

  async #sweep(): Promise<void> {
    const { pool, names, store } = this.#parts;
    const stream = names.jobsStream(pool);
    const levels = await Promise.all(LEVELS.map((level) => store.consumerInfo(stream, level)));
    const jobs = await store.streamInfo(stream);
    const known = levels.reduce(
      (sum, info) => sum + (info === undefined ? 0 : info.num_pending + info.num_ack_pending),
      0,
    );
    if (jobs === undefined || jobs.state.messages <= known) return;
    for (const [index, level] of LEVELS.entries()) {
      await this.#sweepLevel(stream, level, levels[index]?.ack_floor.stream_seq ?? 0);
    }
  }

  /** @param floor all of this level up to this sequence is acknowledged */
  async #sweepLevel(stream: string, level: Priority, floor: number): Promise<void> {
    const { pool, names, store } = this.#parts;
    for (let from = 1, count = 0; from <= floor && count < MOST_AT_ONCE; count += 1) {
      const job = await store.next(stream, names.jobsOf(pool, level), from);
      if (job === undefined || job.sequence > floor) return;
      if (await this.#hasEnded(job)) await store.delete(stream, job.sequence);
      else this.#tell(job);
      from = job.sequence + 1;
    }
  }

  async #hasEnded({ subject, sequence, headers }: Stored): Promise<boolean> {
    const { pool, names, store } = this.#parts;
    const id = names.readJob(subject)?.id ?? "";
    const outcome = await store.last(names.outcomesStream, names.outcome(pool, id));
    if (sequenceOf(outcome?.headers) >= sequence) return true;
    return !decodeDurableJob(headers, DEFAULT_TIMEOUT_MS, "").keepOutcome;
  }

  #tell({ sequence, subject }: Stored): void {
    if (this.#told.has(sequence) || this.#told.size >= MOST_AT_ONCE) return;
    this.#told.add(sequence);
    const { log, pool } = this.#parts;
    log.error({ pool, subject, sequence }, "a job was acknowledged, and has no outcome: it does not run again");
  }
}
