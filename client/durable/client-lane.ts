/**
 * The durable verbs of a client: enqueue, enqueueMany, outcome.
 *
 * Decided here: how options, notice and receipt go together. How a job is stored
 * is in mesh/durable/enqueue.ts, how an outcome is awaited in outcome-wait.ts.
 */
import { enqueue, type StoredJob } from "../../mesh/durable/enqueue.js";
import { decodeHeldJob } from "../../mesh/durable/held-job.js";
import { DurableNames, LEVELS } from "../../mesh/durable/names.js";
import { decodeOutcome } from "../../mesh/durable/outcome.js";
import { StreamPublisher } from "../../mesh/durable/publisher.js";
import { LaneStore } from "../../mesh/durable/store.js";
import { PoolError, toPoolError } from "../../mesh/errors.js";
import { type Outcome, type Payload, toBytes } from "../../mesh/job/job.js";
import type { Bus } from "../../mesh/link/bus.js";
import type { Inbox } from "../../mesh/link/inbox.js";
import { checkName } from "../../mesh/wire/subjects.js";
import { type CheckedOptions, checkEnqueueOptions, type EnqueueOptions } from "./enqueue-options.js";
import { type Notice, Notices } from "./notices.js";
import { type Awaited, notFound, OutcomeWait, type WaitOptions } from "./outcome-wait.js";
import { Receipt } from "./receipt.js";

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

/** Where a durable job stands. */
export interface JobLookup {
  readonly id: string;
  /** "held": at a manager, for a slot. "retrying": it failed and is not yet due. "ended": it has its outcome. */
  readonly state: "queued" | "held" | "running" | "retrying" | "ended";
  /** The delivery; 1 for the first, 0 while it is queued. */
  readonly attempt: number;
  /** Who runs it or ran it; "" for nobody. */
  readonly worker: string;
  /** Once it has ended. */
  readonly outcome?: Outcome;
}

/** How long the manager that holds a job has to say so, in milliseconds. */
const LOOKUP_LIMIT_MS = 150;
const DEFAULT_WINDOW = 256;
const MAX_WINDOW = 1_024;

export class ClientLane {
  readonly #bus: Bus;
  readonly #pool: string;
  readonly #defaultTimeoutMs: number;
  readonly #names: DurableNames;
  readonly #store: LaneStore;
  readonly #publisher: StreamPublisher;
  readonly #notices: Notices;
  readonly #inbox: Inbox;
  readonly #waits = new Set<OutcomeWait>();

  constructor(bus: Bus, inbox: Inbox, prefix: string, pool: string, defaultTimeoutMs: number) {
    this.#bus = bus;
    this.#pool = pool;
    this.#defaultTimeoutMs = defaultTimeoutMs;
    this.#names = new DurableNames(prefix);
    this.#store = new LaneStore(bus);
    this.#publisher = new StreamPublisher(bus);
    this.#notices = new Notices(bus);
    this.#inbox = inbox;
  }

  /** Stores a job. @throws PoolError */
  async enqueue(payload: Payload, options: EnqueueOptions): Promise<Receipt> {
    const { runtime } = this.#bus;
    const checked = checkEnqueueOptions(options, this.#defaultTimeoutMs, runtime.wallNow());
    const bytes = toBytes(payload);
    this.#bus.requireConnected();
    const id = checked.id ?? runtime.newId();
    const after = checked.rerun ? await this.#lastOutcome(id) : 0;
    const notice = this.#notices.open(id);
    try {
      const stored = await this.#storeJob(id, bytes, checked, notice, after);
      return this.#receipt(stored, checked, notice, after);
    } catch (thrown) {
      this.#notices.close(notice);
      throw thrown;
    }
  }

  /** Stores a stream of jobs; a failure is told in its place. Throws only what the inputs throw. */
  async *enqueueMany<T>(
    inputs: Iterable<T> | AsyncIterable<T>,
    options: EnqueueManyOptions,
    toPayload: (input: T) => Payload | Promise<Payload>,
  ): AsyncGenerator<Enqueued> {
    const { window = DEFAULT_WINDOW, ids, ...each } = options;
    if (!Number.isInteger(window) || window < 1 || window > MAX_WINDOW) {
      throw new PoolError("invalid_argument", `window: use a whole number from 1 to ${MAX_WINDOW}`, {
        field: "window",
      });
    }
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

  /** @throws PoolError `not_found` when no live job has this id and no outcome is kept, `invalid_argument` */
  async outcome(id: string, waitMs: number): Promise<Outcome | undefined> {
    const subject = this.#names.outcome(this.#pool, checkName("job", id));
    const stored = await this.#store.lastShown(this.#names.outcomesStream, subject);
    const decoded = stored === undefined ? undefined : decodeOutcome(id, stored.headers, stored.payload);
    const live = await this.#liveSequence(id);
    const isLive = live > 0;
    // A live job wins over the outcome of an earlier job of its id, but not over its own.
    if (decoded !== undefined && decoded.facts.sequence >= live) return decoded.outcome;
    const after = isLive ? (stored?.sequence ?? 0) : 0;
    if (waitMs > 0) return this.#await({ id, levels: LEVELS, after }, { timeoutMs: waitMs }).catch(undefinedWhenLate);
    if (isLive) return undefined;
    // It may have ended between the two looks.
    const again = await this.#store.lastShown(this.#names.outcomesStream, subject);
    const late = again === undefined ? undefined : decodeOutcome(id, again.headers, again.payload);
    if (late === undefined) throw notFound();
    return late.outcome;
  }

  /** @throws PoolError `not_found` when no live job has this id and no outcome is kept, `invalid_argument` */
  async lookup(id: string): Promise<JobLookup> {
    const live = await this.#liveSequence(checkName("job", id));
    const ended = live === 0 ? await this.outcome(id, 0) : await this.#endedSince(id, live);
    if (ended !== undefined)
      return { id, state: "ended", attempt: attemptOf(ended), worker: workerOf(ended), outcome: ended };
    const subject = this.#names.lookup(this.#pool);
    const answer = await this.#inbox.ask({ subject, payload: Buffer.from(id), limitMs: LOOKUP_LIMIT_MS });
    const held = answer.kind === "reply" ? decodeHeldJob(answer.msg.data) : undefined;
    return { id, ...(held ?? { state: "queued", attempt: 0, worker: "" }) };
  }

  /** Ends all waits; the jobs go on. */
  stop(): void {
    for (const wait of this.#waits) wait.stop();
    this.#notices.stop();
    this.#publisher.stop();
  }

  #storeJob(
    id: string,
    payload: Uint8Array,
    { id: named, level, job, limitMs, rerun }: CheckedOptions,
    notice: Notice,
    afterOutcome: number,
  ): Promise<StoredJob> {
    const parts = { bus: this.#bus, names: this.#names, store: this.#store, publisher: this.#publisher };
    return enqueue(parts, {
      pool: this.#pool,
      id,
      isNamed: named !== undefined || rerun,
      level,
      payload,
      job: { ...job, notify: notice.subject, afterOutcome },
      limitMs,
    });
  }

  #receipt(stored: StoredJob, { level }: CheckedOptions, notice: Notice, after: number): Receipt {
    // The manager notifies who enqueued the job first.
    if (stored.duplicate) this.#notices.close(notice);
    const levels = stored.duplicate ? LEVELS : [level];
    const awaited = { id: stored.id, levels, after, ...(stored.duplicate ? {} : { notice }) };
    return new Receipt(stored, (options) => this.#await(awaited, options));
  }

  async #await(job: Awaited, options: WaitOptions): Promise<Outcome> {
    const wait = new OutcomeWait({ bus: this.#bus, names: this.#names, store: this.#store, pool: this.#pool }, job);
    this.#waits.add(wait);
    try {
      return await wait.run(options);
    } finally {
      this.#waits.delete(wait);
    }
  }

  /** The sequence of the live job with this id; 0 for none. */
  async #liveSequence(id: string): Promise<number> {
    const stream = this.#names.jobsStream(this.#pool);
    const looks = LEVELS.map((level) => this.#store.lastShown(stream, this.#names.job(this.#pool, level, id)));
    return Math.max(0, ...(await Promise.all(looks)).map((job) => job?.sequence ?? 0));
  }

  /** The outcome of the live job itself: a broker that was killed may have kept the job. */
  async #endedSince(id: string, sequence: number): Promise<Outcome | undefined> {
    const stored = await this.#store.lastShown(this.#names.outcomesStream, this.#names.outcome(this.#pool, id));
    const decoded = stored === undefined ? undefined : decodeOutcome(id, stored.headers, stored.payload);
    return decoded !== undefined && decoded.facts.sequence >= sequence ? decoded.outcome : undefined;
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

function attemptOf(outcome: Outcome): number {
  return outcome.ok ? outcome.result.attempt : outcome.attempt;
}

function workerOf(outcome: Outcome): string {
  return outcome.ok ? outcome.result.worker : outcome.worker;
}

function undefinedWhenLate(error: unknown): undefined {
  if (error instanceof PoolError && error.reason === "deadline_exceeded") return undefined;
  throw error;
}
