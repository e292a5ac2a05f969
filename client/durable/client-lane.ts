/**
 * The durable verbs of a client: enqueue, enqueueMany, enqueueBatch, outcome.
 *
 * Decided here: how options, notice and receipt go together. How a job is stored
 * is in mesh/durable/enqueue.ts, how an outcome is awaited in outcome-wait.ts.
 */
import type { BatchStatus } from "../../mesh/durable/batches/batch-status.js";
import { enqueue, type NewJob, type StoredJob } from "../../mesh/durable/enqueue.js";
import { instantOf } from "../../mesh/durable/later/run-time.js";
import { DurableNames, LEVELS } from "../../mesh/durable/names.js";
import { StreamPublisher } from "../../mesh/durable/publisher.js";
import { LaneStore } from "../../mesh/durable/store.js";
import { PoolError, toPoolError } from "../../mesh/errors.js";
import { checkPayload } from "../../mesh/job/codec.js";
import { type NextJob, type Outcome, type Payload, toBytes } from "../../mesh/job/job.js";
import type { Bus } from "../../mesh/link/bus.js";
import type { Inbox } from "../../mesh/link/inbox.js";
import { delay } from "../../mesh/link/runtime.js";
import { checkName } from "../../mesh/wire/subjects.js";
import type { EnqueuedPayload } from "../large/enqueued-payload.js";
import type { LargeJobs } from "../large/large-jobs.js";
import { refuseStored } from "../large/stored-results.js";
import { askLater } from "./ask-later.js";
import { type AskBatchesParts, askBatch } from "./batches/ask-batches.js";
import { type BatchOptions, checkBatchOptions, checkWindow } from "./batches/batch-options.js";
import { BatchReceipt } from "./batches/batch-receipt.js";
import { enqueueBatch } from "./batches/enqueue-batch.js";
import { OtherPlaces } from "./batches/other-places.js";
import { type CheckedOptions, checkEnqueueOptions, type EnqueueOptions } from "./enqueue-options.js";
import { type JobLookup, JobReads } from "./job-reads.js";
import { type Notice, Notices } from "./notices.js";
import { type Awaited, notFound, OutcomeWait, stopped, type WaitOptions } from "./outcome-wait.js";
import { Receipt, type Waiting } from "./receipt.js";

/** One job of a stream of jobs, with its place in that stream, from 0. */
export type Enqueued =
  | { readonly index: number; readonly ok: true; readonly receipt: Receipt }
  | { readonly index: number; readonly ok: false; readonly error: PoolError };

/** How a stream of jobs is enqueued. */
export interface EnqueueManyOptions extends Omit<EnqueueOptions, "id"> {
  /** The id of each job; default made for you. */
  ids?: (index: number) => string;
  /** Jobs under way at once, 1 to 1,024; default 256. Inputs are read no faster. */
  window?: number;
}

/** A job to store. */
type ToStore = CheckedOptions & Pick<NewJob, "mayBeElsewhere">;

/** How long a job that follows may not be there yet, and the wait between two looks, in milliseconds. */
const NEXT_LIMIT_MS = 10_000;
const NEXT_RETRY_MS = 250;

/** What it works with. */
export interface ClientLaneParts {
  readonly bus: Bus;
  readonly inbox: Inbox;
  readonly prefix: string;
  readonly pool: string;
  /** Undefined: payloads and results over the broker's limit are refused. */
  readonly large: LargeJobs | undefined;
}

/** How the receipts of a lane wait. */
interface LaneWaits {
  readonly job: (job: Awaited, options: WaitOptions) => Promise<Outcome>;
  readonly next: (job: NextJob, options: WaitOptions) => Promise<Outcome>;
  readonly now: () => number;
}

/** How one receipt waits. An object for each job, and no functions. */
class ReceiptWait implements Waiting {
  readonly #waits: LaneWaits;
  readonly #job: Awaited;

  constructor(waits: LaneWaits, job: Awaited) {
    this.#waits = waits;
    this.#job = job;
  }

  wait(options: WaitOptions, next?: NextJob): Promise<Outcome> {
    return next === undefined ? this.#waits.job(this.#job, options) : this.#waits.next(next, options);
  }

  now(): number {
    return this.#waits.now();
  }
}

export class ClientLane {
  readonly #bus: Bus;
  readonly #pool: string;
  readonly #defaultTimeoutMs: number;
  readonly #names: DurableNames;
  readonly #store: LaneStore;
  readonly #publisher: StreamPublisher;
  readonly #notices: Notices;
  readonly #inbox: Inbox;
  readonly #reads: JobReads;
  readonly #large: LargeJobs | undefined;
  /** Those who read the stream. */
  readonly #looking = new Set<OutcomeWait>();
  readonly #waits: LaneWaits;
  #isStopped = false;

  constructor({ bus, inbox, prefix, pool, large }: ClientLaneParts, defaultTimeoutMs: number) {
    this.#bus = bus;
    this.#large = large;
    this.#pool = pool;
    this.#defaultTimeoutMs = defaultTimeoutMs;
    this.#names = new DurableNames(prefix);
    this.#store = new LaneStore(bus);
    this.#publisher = new StreamPublisher(bus);
    this.#notices = new Notices(bus);
    this.#inbox = inbox;
    this.#reads = new JobReads({ pool, bus, inbox, names: this.#names, store: this.#store });
    this.#waits = {
      job: (job, options) => this.#await(job, options),
      next: (next, options) => this.#awaitNext(next, options),
      now: bus.runtime.now,
    };
  }

  /** Stores a job. @throws PoolError */
  async enqueue(payload: Payload, options: EnqueueOptions): Promise<Receipt> {
    const { runtime } = this.#bus;
    const checked = checkEnqueueOptions(options, this.#defaultTimeoutMs, runtime.wallNow());
    const bytes = checkPayload(toBytes(payload));
    this.#bus.requireConnected();
    const id = checked.id ?? runtime.newId();
    const after = checked.rerun ? await this.#lastOutcome(id) : 0;
    const notice = this.#notices.open(id);
    try {
      const stored = await this.#storeWhole(id, bytes, checked, notice.subject, after);
      return this.#receipt(stored, checked, notice, after);
    } catch (thrown) {
      this.#notices.close(notice);
      throw thrown;
    }
  }

  /** Stores a job, in the object store what of it is over the broker's limit. @throws PoolError */
  #storeWhole(
    id: string,
    bytes: Uint8Array,
    checked: ToStore,
    notify: string | undefined,
    afterOutcome: number,
  ): Promise<StoredJob> {
    const store = (payload: Uint8Array): Promise<StoredJob> =>
      this.#storeJob(id, payload, checked, notify, afterOutcome);
    return this.#large === undefined ? store(bytes) : this.#storeLarge(this.#large, id, bytes, checked, store);
  }

  async #storeLarge(
    large: LargeJobs,
    id: string,
    bytes: Uint8Array,
    checked: CheckedOptions,
    store: (payload: Uint8Array) => Promise<StoredJob>,
  ): Promise<StoredJob> {
    const kept = await this.#keepLarge(large, id, bytes, checked);
    try {
      const stored = await store(kept?.reference ?? bytes);
      await kept?.confirm();
      return stored;
    } catch (thrown) {
      if (!toPoolError(thrown).maybeExecuted) kept?.undo();
      throw thrown;
    }
  }

  /** Puts a payload over the broker's limit into the object store. @throws PoolError */
  #keepLarge(
    large: LargeJobs,
    id: string,
    bytes: Uint8Array,
    checked: CheckedOptions,
  ): Promise<EnqueuedPayload | undefined> {
    const { id: named, rerun, time } = checked;
    const nowMs = this.#bus.runtime.wallNow();
    const dueInMs = time === undefined ? 0 : Math.max(0, instantOf(time, nowMs) - nowMs);
    return large.keepEnqueued(bytes, { id, isNamed: named !== undefined && !rerun, dueInMs });
  }

  /** The outcome with its result whole, or why it cannot be. */
  async #whole(outcome: Outcome, signal?: AbortSignal): Promise<Outcome> {
    return this.#large?.readOutcome(outcome, signal) ?? refuseStored(outcome);
  }

  /** Stores a stream of jobs; a failure is told in its place. Throws only what the inputs throw. */
  async *enqueueMany<T>(
    inputs: Iterable<T> | AsyncIterable<T>,
    options: EnqueueManyOptions,
    toPayload: (input: T) => Payload | Promise<Payload>,
  ): AsyncGenerator<Enqueued> {
    const { ids, ...each } = options;
    const window = checkWindow(options.window);
    const underWay: Promise<Enqueued>[] = [];
    let index = 0;
    const enqueue = async (input: T, one: EnqueueOptions): Promise<Receipt> =>
      this.enqueue(await toPayload(input), one);
    for await (const input of inputs) {
      underWay.push(toEnqueued(index, enqueue(input, ids === undefined ? each : { ...each, id: ids(index) })));
      index += 1;
      if (underWay.length >= window) yield (await underWay.shift()) as Enqueued;
    }
    for (const one of underWay) yield await one;
  }

  /** Stores the jobs of a batch. @throws PoolError */
  async enqueueBatch<T>(
    inputs: Iterable<T> | AsyncIterable<T>,
    options: BatchOptions,
    toPayload: (input: T) => Payload | Promise<Payload>,
  ): Promise<BatchReceipt> {
    const { newId, wallNow } = this.#bus.runtime;
    const made = { newId, wallNowMs: wallNow() };
    const batch = checkBatchOptions(this.#pool, options, this.#defaultTimeoutMs, made);
    const { level } = batch.common;
    const runtime = this.#bus.runtime;
    const others = new OtherPlaces({ pool: this.#pool, level, names: this.#names, store: this.#store, runtime });
    const mayBeElsewhere = (): Promise<boolean> => others.haveJobs();
    // Nobody waits for the outcome of a job of a batch but the batch.
    const store = (payload: Payload, checked: CheckedOptions & { readonly id: string }): Promise<StoredJob> =>
      this.#storeWhole(checked.id, checkPayload(toBytes(payload)), { ...checked, mayBeElsewhere }, undefined, 0);
    const total = await enqueueBatch({ ...this.#asking, toPayload, store }, batch, inputs);
    const { id, completion } = batch;
    const status = (): Promise<BatchStatus> => this.batch(id);
    const mayCome = async (): Promise<boolean> => (await status()).state !== "completed";
    const awaited = { id: completion.id, levels: LEVELS, after: 0, mayCome };
    const wait = (waiting: WaitOptions): Promise<Outcome> => this.#await(awaited, waiting, completion.pool);
    return new BatchReceipt({ id, total, completion }, { wait, status });
  }

  /** @throws PoolError `not_found`, `unknown_pool`, `bus_unavailable` */
  batch(id: string): Promise<BatchStatus> {
    return askBatch(this.#asking, id);
  }

  get #asking(): AskBatchesParts {
    return { pool: this.#pool, bus: this.#bus, inbox: this.#inbox, names: this.#names };
  }

  /** @throws PoolError `not_found` when no live job has this id and no outcome is kept, `invalid_argument` */
  async outcome(id: string, waitMs: number): Promise<Outcome | undefined> {
    const { live, ended } = await this.#reads.find(checkName("job", id));
    if (live === undefined && ended !== undefined) return this.#whole(ended.outcome);
    const after = live === undefined ? 0 : (ended?.sequence ?? 0);
    if (waitMs > 0) return this.#await({ id, levels: LEVELS, after }, { timeoutMs: waitMs }).catch(undefinedWhenLate);
    if (live !== undefined) return undefined;
    throw notFound();
  }

  /** @throws PoolError `not_found` when no live job has this id and no outcome is kept, `invalid_argument` */
  async lookup(id: string): Promise<JobLookup> {
    const found = await this.#reads.lookup(checkName("job", id));
    return found.outcome === undefined ? found : { ...found, outcome: await this.#whole(found.outcome) };
  }

  /** Ends all waits; the jobs go on. */
  stop(): void {
    this.#isStopped = true;
    for (const wait of this.#looking) wait.stop();
    this.#notices.stop();
    this.#publisher.stop();
  }

  #storeJob(
    id: string,
    payload: Uint8Array,
    { id: named, level, job, limitMs, rerun, time, mayBeElsewhere }: ToStore,
    notify: string | undefined,
    afterOutcome: number,
  ): Promise<StoredJob> {
    const parts = { bus: this.#bus, names: this.#names, store: this.#store, publisher: this.#publisher };
    const given = {
      pool: this.#pool,
      id,
      isNamed: named !== undefined || rerun,
      mayBeElsewhere,
      level,
      payload,
      job: { ...job, notify, afterOutcome },
      limitMs,
    };
    const nowMs = this.#bus.runtime.wallNow();
    return time !== undefined && instantOf(time, nowMs) > nowMs
      ? askLater({ ...parts, inbox: this.#inbox }, given, time)
      : enqueue(parts, given);
  }

  #receipt(stored: StoredJob, { level, time }: CheckedOptions, notice: Notice, after: number): Receipt {
    // The manager notifies who enqueued the job first. A job for later that has ended already is not stored again.
    const hears = !stored.duplicate && (time === undefined || stored.runAt !== undefined);
    if (!hears) this.#notices.close(notice);
    const awaited = { id: stored.id, levels: hears ? [level] : LEVELS, after, notice: hears ? notice : undefined };
    return new Receipt(stored, new ReceiptWait(this.#waits, awaited));
  }

  /** The stream may tell of an outcome a moment before the next job is stored. */
  async #awaitNext({ pool, id }: NextJob, options: WaitOptions): Promise<Outcome> {
    const { runtime } = this.#bus;
    for (const endAtMs = runtime.now() + NEXT_LIMIT_MS; ; await delay(runtime, NEXT_RETRY_MS)) {
      try {
        return await this.#await({ id, levels: LEVELS, after: 0 }, options, pool);
      } catch (thrown) {
        const isMissing = thrown instanceof PoolError && thrown.reason === "not_found";
        if (!isMissing || runtime.now() >= endAtMs) throw thrown;
      }
    }
  }

  async #await(job: Awaited, options: WaitOptions, pool = this.#pool): Promise<Outcome> {
    const sinceMs = this.#bus.runtime.now();
    const isHeard = job.notice !== undefined && options.signal === undefined;
    const heard = isHeard ? await this.#notices.wait(job.notice, options.timeoutMs) : undefined;
    const outcome = heard ?? (await this.#lookFor(isHeard ? { ...job, sinceMs } : job, options, pool));
    if (this.#large === undefined) return refuseStored(outcome);
    const untilMs = options.timeoutMs === undefined ? undefined : sinceMs + options.timeoutMs;
    return this.#large.readWithin(outcome, untilMs, options.signal);
  }

  /** Reads the stream as well. */
  async #lookFor(job: Awaited, options: WaitOptions, pool: string): Promise<Outcome> {
    if (this.#isStopped) throw stopped();
    const wait = new OutcomeWait({ bus: this.#bus, names: this.#names, store: this.#store, pool }, job);
    this.#looking.add(wait);
    try {
      return await wait.run(options);
    } finally {
      this.#looking.delete(wait);
    }
  }

  async #lastOutcome(id: string): Promise<number> {
    return (await this.#store.last(this.#names.outcomesStream, this.#names.outcome(this.#pool, id)))?.sequence ?? 0;
  }
}

async function toEnqueued(index: number, stored: Promise<Receipt>): Promise<Enqueued> {
  try {
    return { index, ok: true, receipt: await stored };
  } catch (thrown) {
    return { index, ok: false, error: toPoolError(thrown) };
  }
}

function undefinedWhenLate(error: unknown): undefined {
  if (error instanceof PoolError && error.reason === "deadline_exceeded") return undefined;
  throw error;
}
