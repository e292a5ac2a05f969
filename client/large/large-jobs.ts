/**
 * Jobs of `submit` whose payload or result goes through the object store, at a client.
 *
 *   putting ─► with the managers, as any job ─► reading ─► ended
 *
 * Decided here: while a payload is put and a result is read, the deadline and a cancel end the job as elsewhere. The
 * client deletes the payload when the job has its outcome, and the result when it has been read.
 */
import { durablePayloadLimit } from "../../mesh/durable/job.js";
import { jobCanceled, PoolError, toPoolError } from "../../mesh/errors.js";
import { JobResult, type Outcome } from "../../mesh/job/job.js";
import type { Bus } from "../../mesh/link/bus.js";
import { within } from "../../mesh/link/runtime.js";
import { checkSize, type LargePayloads } from "../../mesh/objects/large-payloads.js";
import { digestOf, ObjectStore } from "../../mesh/objects/object-store.js";
import {
  decodeReference,
  encodeReference,
  isObjectOf,
  type ObjectReference,
  objectName,
} from "../../mesh/objects/reference.js";
import { isReference, jobRefusal, payloadLimit, type Trace } from "../../mesh/wire/payloads.js";
import { type EnqueuedPayload, keepEnqueued } from "./enqueued-payload.js";
import { isStored, type ResultReads, readStored, untilAborted } from "./stored-results.js";

type OnOutcome = (outcome: Outcome) => void;

/** A job whose payload is put. */
export interface LargeJob {
  readonly id: string;
  readonly payload: Uint8Array;
  /** From now to its deadline, milliseconds. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** How it goes on. */
export interface LargeJobPorts {
  /** Submits it with the reference as its payload. May throw instead. @param leftMs until its deadline */
  readonly submit: (reference: Uint8Array, leftMs: number, onOutcome: OnOutcome) => void;
  /** Its outcome, once it is submitted. */
  readonly onOutcome: OnOutcome;
  /** Its outcome, when it was not submitted. */
  readonly onNotSubmitted: OnOutcome;
}

const READ_TOO_LATE = "the job has its result, which could not be read in time";
/** How long deletions may take when the client stops, in milliseconds. */
const STOP_LIMIT_MS = 2_000;

export class LargeJobs {
  readonly #bus: Bus;
  readonly #pool: string;
  readonly #large: LargePayloads;
  readonly #store: ObjectStore;
  /** Jobs that are put or read, by id. */
  readonly #live = new Map<string, AbortController>();
  readonly #deletions = new Set<Promise<void>>();

  constructor(bus: Bus, pool: string, large: LargePayloads) {
    this.#bus = bus;
    this.#pool = pool;
    this.#large = large;
    this.#store = new ObjectStore(bus);
  }

  /** @throws PoolError `invalid_argument` when the broker has no JetStream */
  async check(): Promise<void> {
    if (await this.#store.hasJetStream(this.#large.submitted.name)) return;
    const message = "largePayloads: the broker has no JetStream, or not for this account: leave the option out";
    throw new PoolError("invalid_argument", message, { field: "largePayloads" });
  }

  /** Whether a payload of `submit` goes through the store. */
  mustStore(payload: Uint8Array, trace: Trace): boolean {
    if (payload.length > this.#large.thresholdBytes || isReference(payload)) return true;
    return jobRefusal(payload, trace, payloadLimit(this.#bus)) !== undefined;
  }

  /** Whether a job is being put or read. */
  isLive(id: string): boolean {
    return this.#live.has(id);
  }

  /** Cancels a job that is being put or read; false when it is not. */
  cancel(id: string): boolean {
    const live = this.#live.get(id);
    live?.abort(jobCanceled());
    return live !== undefined;
  }

  /** Puts the payload, and submits. @throws PoolError `payload_too_large`, `invalid_argument` */
  start(job: LargeJob, ports: LargeJobPorts): void {
    checkSize(job.payload, this.#large);
    if (job.timeoutMs >= this.#large.submitted.ttlMs) {
      const message = "timeoutMs: a payload in the object store is not kept so long; see largePayloads.ttlMs";
      throw new PoolError("invalid_argument", message, { field: "timeoutMs" });
    }
    void this.#putAndSubmit(job, ports);
  }

  /** Hears an outcome as it comes, and gives it on with its result whole. @param deadlineAtMs monotonic milliseconds */
  reading(onOutcome: OnOutcome, deadlineAtMs: number): OnOutcome {
    return (outcome) => {
      if (isStored(outcome)) void this.#read(outcome, deadlineAtMs).then(onOutcome);
      else onOutcome(outcome);
    };
  }

  /** Puts the payload of a durable job, if it is large; undefined when it is not. @throws PoolError */
  async keepEnqueued(
    payload: Uint8Array,
    job: { readonly id: string; readonly isNamed: boolean; readonly dueInMs: number },
  ): Promise<EnqueuedPayload | undefined> {
    // What a manager stores for later takes some headers more.
    const limit = durablePayloadLimit(this.#bus) - (job.dueInMs > 0 ? LATER_RESERVE_BYTES : 0);
    if (payload.length <= Math.min(limit, this.#large.thresholdBytes) && !isReference(payload)) return undefined;
    return keepEnqueued({ bus: this.#bus, store: this.#store, large: this.#large, pool: this.#pool, ...job }, payload);
  }

  /** The outcome of a durable job with its result whole. Its object stays: others may read it. */
  readOutcome(outcome: Outcome, signal?: AbortSignal): Promise<Outcome> {
    return readStored(this.#reads, outcome, signal);
  }

  /**
   * The same until a time.
   *
   * @param untilMs monotonic milliseconds; undefined for ever
   * @throws PoolError `deadline_exceeded` when the result cannot be read in time
   */
  async readWithin(outcome: Outcome, untilMs: number | undefined, signal?: AbortSignal): Promise<Outcome> {
    if (untilMs === undefined || !isStored(outcome)) return this.readOutcome(outcome, signal);
    const { runtime } = this.#bus;
    const leftMs = Math.max(0, untilMs - runtime.now());
    const late = new AbortController();
    const signals = signal === undefined ? [late.signal] : [late.signal, signal];
    const timer = runtime.after(leftMs, () => late.abort(new PoolError("deadline_exceeded", READ_TOO_LATE)));
    try {
      const read = await this.readOutcome(outcome, AbortSignal.any(signals));
      if (late.signal.aborted && !read.ok) throw late.signal.reason;
      return read;
    } finally {
      runtime.cancel(timer);
    }
  }

  /** Resolves when what has ended is deleted, or could not be in time. */
  async stop(): Promise<void> {
    for (const id of [...this.#live.keys()]) this.cancel(id);
    // What was canceled ends in this turn.
    await new Promise(setImmediate);
    await within(this.#bus.runtime, STOP_LIMIT_MS, Promise.allSettled([...this.#deletions]), []);
    this.#store.stop();
  }

  async #putAndSubmit({ id, payload, timeoutMs, signal }: LargeJob, ports: LargeJobPorts): Promise<void> {
    const { runtime } = this.#bus;
    const begunAtMs = runtime.now();
    const onAbort = (): void => void this.cancel(id);
    signal?.addEventListener("abort", onAbort);
    let object: ObjectReference | undefined;
    try {
      object = await this.#whileLive(id, begunAtMs + timeoutMs, false, (live) => this.#put(id, payload, live));
      const reference = encodeReference(object);
      signal?.removeEventListener("abort", onAbort);
      const putMs = runtime.now() - begunAtMs;
      ports.submit(reference, Math.max(1, timeoutMs - putMs), (outcome) => {
        this.#delete(object as ObjectReference);
        ports.onOutcome(later(outcome, putMs));
      });
    } catch (thrown) {
      signal?.removeEventListener("abort", onAbort);
      if (object !== undefined) this.#delete(object);
      ports.onNotSubmitted({ ok: false, id, error: toPoolError(thrown), worker: "", attempt: 0 });
    }
  }

  async #put(id: string, payload: Uint8Array, live: AbortSignal): Promise<ObjectReference> {
    const { runtime } = this.#bus;
    const bucket = this.#large.submitted;
    const name = objectName(this.#pool, id, `${runtime.newId()}${runtime.newSecret()}`);
    const object = { bucket: bucket.name, name, size: payload.length, digest: await digestOf(payload) };
    const put = this.#store.put(bucket, object, payload, live);
    // It may be whole although its job has ended meanwhile.
    this.#track(
      put.then(
        () => (live.aborted ? this.#store.delete(object) : undefined),
        () => undefined,
      ),
    );
    await untilAborted(put, live);
    return object;
  }

  async #read(outcome: Outcome & { readonly ok: true }, deadlineAtMs: number): Promise<Outcome> {
    const begunAtMs = this.#bus.runtime.now();
    const read = await this.#whileLive(outcome.id, deadlineAtMs, true, (live) =>
      readStored(this.#reads, outcome, live),
    );
    // Nobody else reads it, also when this client could not.
    this.#forgetResult(outcome.result);
    return read.ok ? later(read, 0, this.#bus.runtime.now() - begunAtMs) : read;
  }

  /** Does a step, and ends it at the deadline and at a cancel. */
  async #whileLive<T>(
    id: string,
    deadlineAtMs: number,
    maybeExecuted: boolean,
    step: (live: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { runtime } = this.#bus;
    const live = new AbortController();
    const onLate = (): void =>
      live.abort(new PoolError("deadline_exceeded", "the job's own deadline has passed", { maybeExecuted }));
    const timer = runtime.after(Math.max(0, deadlineAtMs - runtime.now()), onLate);
    this.#live.set(id, live);
    try {
      return await step(live.signal);
    } finally {
      runtime.cancel(timer);
      if (this.#live.get(id) === live) this.#live.delete(id);
    }
  }

  #forgetResult({ id, payload }: JobResult): void {
    try {
      const reference = decodeReference(payload);
      const isOwn = reference.bucket === this.#large.results.name && isObjectOf(reference, this.#pool, id);
      if (isOwn) this.#delete(reference);
    } catch {
      // It names no object.
    }
  }

  get #reads(): ResultReads {
    return { store: this.#store, large: this.#large, pool: this.#pool };
  }

  /** What cannot be deleted now goes by its age. */
  #delete(object: Pick<ObjectReference, "bucket" | "name">): void {
    this.#track(this.#store.delete(object));
  }

  /** The client waits for it when it stops. */
  #track(work: Promise<void>): void {
    const tracked = work.catch(() => {}).finally(() => this.#deletions.delete(tracked));
    this.#deletions.add(tracked);
  }
}

/** Beside what the lane takes anyway, in bytes. */
const LATER_RESERVE_BYTES = 1_024;

/** An outcome whose job waited and took so much longer, in milliseconds. */
function later(outcome: Outcome, waitMs: number, tookMs = waitMs): Outcome {
  if (!outcome.ok) return outcome.waitMs === undefined ? outcome : { ...outcome, waitMs: outcome.waitMs + waitMs };
  const { id, payload, worker, attempt, waitMs: waited, totalMs } = outcome.result;
  return { ok: true, id, result: new JobResult(id, payload, worker, attempt, waited + waitMs, totalMs + tookMs) };
}
