/**
 * Counts the outcomes of one batch at one manager.
 *
 * Decided here: outcomes that come while the last ones are being stored are stored together, and a batch is written
 * fifty times a second at most, so that a large batch costs its stream no more than a few megabytes a second. What would
 * complete the batch is written at once. Several managers may count: the stream takes a record only over the one that it was made
 * of, and who was second reads again.
 */
import { countedJobs, type Mark, withMarks } from "../../../../mesh/durable/batches/batch-record.js";
import { toPoolError } from "../../../../mesh/errors.js";
import { delay } from "../../../../mesh/link/runtime.js";
import { findBatch, type StoredBatch, writeBatch } from "./batch-store.js";
import { type CompletionParts, complete } from "./completion.js";

/** The least time between two writes of one batch, in milliseconds. */
const PACE_MS = 20;
/** The wait before the next try when the stream does not answer, and after how many tries the job is given back. */
const RETRY_MS = 250;
const MAX_TRIES = 40;
/** When it is to come again then, in milliseconds. */
const AGAIN_MS = 1_000;

interface Waiting {
  readonly mark: Mark;
  readonly settle: (againMs: number | undefined) => void;
}

export class Tally {
  readonly #parts: CompletionParts;
  readonly #pool: string;
  readonly #id: string;
  /** The record as this manager stored it last: others may have changed it since. */
  #batch: StoredBatch | undefined;
  /** Others change it too: it is read before each write. */
  #isShared = false;
  #waiting: Waiting[] = [];
  #isWriting = false;
  #isStopped = false;
  #wroteAtMs = Number.NEGATIVE_INFINITY;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: CompletionParts, pool: string, id: string) {
    this.#parts = parts;
    this.#pool = pool;
    this.#id = id;
  }

  /** Nothing is under way. */
  get isIdle(): boolean {
    return !this.#isWriting;
  }

  /** Tries nothing again. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Counts an outcome. @returns when to try again, milliseconds; undefined when it is stored, and what follows is done */
  count(mark: Mark): Promise<number | undefined> {
    return new Promise((settle) => {
      this.#waiting.push({ mark, settle });
      if (this.#isWriting) return;
      this.#isWriting = true;
      void this.#write();
    });
  }

  /** The broker may have lost what it stored: the record is read again. */
  forget(): void {
    this.#batch = undefined;
  }

  async #write(): Promise<void> {
    const { runtime } = this.#parts.bus;
    while (this.#waiting.length > 0) {
      const waitMs = this.#wroteAtMs + PACE_MS - runtime.now();
      if (waitMs > 0 && !this.#mayComplete()) await delay(runtime, waitMs);
      const group = this.#waiting;
      this.#waiting = [];
      this.#wroteAtMs = runtime.now();
      const againMs = await this.#store(group.map(({ mark }) => mark));
      for (const { settle } of group) settle(againMs);
    }
    this.#isWriting = false;
  }

  /** Whether what waits may be all that is missing. */
  #mayComplete(): boolean {
    const record = this.#batch?.record;
    return record?.total !== undefined && countedJobs(record) + this.#waiting.length >= record.total;
  }

  async #store(marks: readonly Mark[]): Promise<number | undefined> {
    for (let tries = 0; tries < MAX_TRIES && !this.#isStopped; tries += 1) {
      let trouble: unknown;
      try {
        const stored = await this.#storeOnce(marks);
        if (stored === "none") return undefined;
        if (typeof stored === "object") return await this.#finish(stored);
        if (stored === "fenced") continue;
        trouble = stored;
      } catch (thrown) {
        trouble = toPoolError(thrown).message;
      }
      this.#batch = undefined;
      this.#tell(trouble);
      await delay(this.#parts.bus.runtime, RETRY_MS);
    }
    return AGAIN_MS;
  }

  /** @returns the batch with these outcomes; "none" when there is no such batch; else why it is not stored. @throws PoolError */
  async #storeOnce(marks: readonly Mark[]): Promise<StoredBatch | "none" | "fenced" | "silent" | "absent" | "refused"> {
    const parts = this.#parts;
    const batch = this.#batch ?? (await findBatch(parts, this.#pool, this.#id));
    // It was never opened, or is too old: nobody waits for it.
    if (batch === undefined) return "none";
    const record = withMarks(batch.record, marks, parts.bus.runtime.wallNow());
    if (record === batch.record) return batch;
    const written = await writeBatch(parts, this.#pool, batch, record);
    if (written.kind === "stored") return written.batch;
    this.#batch = undefined;
    if (written.kind === "failed") return written.answer.kind;
    this.#isShared = true;
    return "fenced";
  }

  /** The outcomes are stored. */
  #finish(batch: StoredBatch): Promise<number | undefined> | undefined {
    const isFull = batch.record.fullAt !== undefined;
    this.#batch = isFull || this.#isShared ? undefined : batch;
    return isFull ? complete(this.#parts, this.#pool, batch) : undefined;
  }

  /** One line a second at most. */
  #tell(why: unknown): void {
    const nowMs = this.#parts.bus.runtime.now();
    if (nowMs - this.#toldAtMs < 1_000) return;
    this.#toldAtMs = nowMs;
    this.#parts.log.warn({ pool: this.#pool, batch: this.#id, why }, "outcomes are not counted yet; it is tried again");
  }
}
