/**
 * One run of a handler, as a worker runs it: through its codec, its middleware and the schemas of its pool, with a
 * job that a test makes. No broker, no worker, no thread.
 */
import { randomUUID } from "node:crypto";
import { PoolError, toPoolError } from "../mesh/errors.js";
import type { JobLane } from "../mesh/job/job.js";
import {
  contractsOf,
  encodePayload,
  type GivenOf,
  isPoolDefinition,
  type PayloadOf,
  type PoolDefinition,
  poolName,
  type ReturnedOf,
  type ValueOf,
} from "../mesh/job/pool-definition.js";
import { type Handler, invoke } from "../services/worker/handlers/handler.js";
import { type CodecChoice, readExports } from "../services/worker/handlers/handler-exports.js";
import { HandlerLife } from "../services/worker/handlers/handler-life.js";
import { type FailedJob, failedJob } from "../services/worker/handlers/job-report.js";
import type { LoadedHandler } from "../services/worker/handlers/loaded-handler.js";
import type { Call, Failure, HandlerOutcome } from "../services/worker/handlers/runner.js";

/** The job that a handler is to see. */
export interface TestJobOptions {
  /** A name, default "test"; or the definition of a typed pool, which checks payload and result. */
  pool?: string | PoolDefinition;
  /** Default: made for each job. */
  id?: string;
  /** Default "test-worker". */
  worker?: string;
  /** 1, the default, for the first try. */
  attempt?: number;
  /** Makes it a job of the durable lane, which is given up after so many failures; default: one of the core lane. */
  maxAttempts?: number;
  /** Time until the job is aborted with `deadline_exceeded`, in milliseconds; default 30,000. */
  timeoutMs?: number;
  /** How long a handler that ignores its abort is waited for, in milliseconds; default 2,000. */
  abortGraceMs?: number;
  /** Cancels the job when it fires, as a caller's cancel does. */
  signal?: AbortSignal;
  /** As the option `codec` of a worker: goes before the handler's own; default JSON. */
  codec?: CodecChoice;
  /** Called with each progress value when it is sent. */
  onProgress?: (value: unknown) => void;
  traceparent?: string;
  tracestate?: string;
}

/** How a job ended. */
export interface TestedJob<T = unknown> {
  /** The result, encoded and decoded again as for a caller; undefined when the job failed. */
  readonly value: T;
  /** What the caller hears when the job failed; undefined when it did not. */
  readonly error: PoolError | undefined;
  /** The result as bytes; undefined when the job failed. */
  readonly payload: Uint8Array | undefined;
  /** All progress values, in order. What was sent after an abort is not among them. */
  readonly progress: readonly unknown[];
  /** The fields of each line `job failed` that the worker logs. */
  readonly log: readonly FailedJob[];
  /** The handler has ignored its abort for `abortGraceMs`: a worker shows it as stuck. */
  readonly stuck: boolean;
}

/** What can be tested: a function, or all that a handler file exports (`import * as handler from "./handler.js"`). */
export type TestedHandler<I, O> = Handler<I, O> | HandlerExports<I, O>;

/** What a handler file exports; see docs/handlers.md. */
export interface HandlerExports<I = unknown, O = unknown> {
  readonly run?: Handler<I, O>;
  readonly default?: unknown;
  readonly pool?: PoolDefinition;
  readonly codec?: unknown;
  readonly middleware?: unknown;
  readonly setup?: unknown;
  readonly teardown?: unknown;
}

/**
 * Runs a handler on one job and says how the job ended. A handler's error is an outcome, not a rejection.
 *
 * Of a module's exports, `setup` runs before and `teardown` after the job.
 *
 * @param payload what the codec decodes to; bytes are taken as they came
 * @throws PoolError `invalid_argument` when the handler is none, or when the payload cannot be encoded
 */
export function testJob<D extends PoolDefinition>(
  handler: TestedHandler<GivenOf<D>, ReturnedOf<D>>,
  payload: PayloadOf<D>,
  options: TestJobOptions & { pool: D },
): Promise<TestedJob<ValueOf<D>>>;
export function testJob<I, O>(
  handler: TestedHandler<I, O>,
  payload: I | Uint8Array,
  options?: TestJobOptions,
): Promise<TestedJob<Awaited<O>>>;
export async function testJob(
  handler: TestedHandler<never, unknown>,
  payload: unknown,
  options: TestJobOptions = {},
): Promise<TestedJob> {
  const pool = poolName(options.pool ?? "test");
  const worker = options.worker ?? "test-worker";
  const load = async (): Promise<LoadedHandler> => loadTested(handler, options);
  const life = new HandlerLife(load, { pool, worker, slots: 1, isolation: "inline" }, () => undefined);
  const loaded = await life.start();
  try {
    const bytes = await toPayload(loaded, payload);
    return await new TestRun(loaded, { ...options, pool, worker }, bytes).run();
  } finally {
    const thrown = await life.stop();
    // biome-ignore lint/correctness/noUnsafeFinally: a teardown that fails is the news
    if (thrown !== undefined) throw new PoolError("internal", `teardown failed: ${thrown.message}`);
  }
}

function loadTested(handler: TestedHandler<never, unknown>, { pool, codec }: TestJobOptions): LoadedHandler {
  const exported = typeof handler === "function" ? { run: handler } : { ...handler };
  const typed = isPoolDefinition(pool) && !("pool" in exported) ? { pool } : {};
  return readExports({ ...exported, ...typed }, "the handler", codec);
}

async function toPayload({ definition, codecs }: LoadedHandler, payload: unknown): Promise<Uint8Array> {
  if (payload instanceof Uint8Array) return payload;
  // a payload that does not fit is for the handler's own checks: that is what is tested
  if (definition === undefined) return codecs.input.encode(payload);
  return encodePayload(definition, payload).catch((error: PoolError) => {
    if (error.issues === undefined) throw error;
    return contractsOf(definition).input.codec.encode(payload);
  });
}

type RunOptions = TestJobOptions & { readonly pool: string; readonly worker: string };

/** One job from its start to its end. */
class TestRun implements Call {
  readonly id: string;
  readonly pool: string;
  readonly worker: string;
  readonly attempt: number;
  readonly attemptNumber: number;
  readonly lane: JobLane;
  readonly maxAttempts: number | undefined;
  readonly deadlineAtMs: number;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  readonly #loaded: LoadedHandler;
  readonly #options: RunOptions;
  readonly #abort = new AbortController();
  readonly #progress: unknown[] = [];
  readonly #log: FailedJob[] = [];
  #onEnd: () => void = () => undefined;
  /** Set at the handler's end, or at its abort. */
  #outcome: HandlerOutcome | undefined;

  constructor(
    loaded: LoadedHandler,
    options: RunOptions,
    readonly bytes: Uint8Array,
  ) {
    this.#loaded = loaded;
    this.#options = options;
    this.id = options.id ?? randomUUID();
    this.pool = options.pool;
    this.worker = options.worker;
    this.attempt = options.attempt ?? 1;
    this.attemptNumber = this.attempt;
    this.maxAttempts = options.maxAttempts;
    this.lane = options.maxAttempts === undefined ? "core" : "durable";
    this.deadlineAtMs = performance.now() + (options.timeoutMs ?? 30_000);
    this.traceparent = options.traceparent;
    this.tracestate = options.tracestate;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  async run(): Promise<TestedJob> {
    const { signal, timeoutMs = 30_000, abortGraceMs = 2_000 } = this.#options;
    let grace: NodeJS.Timeout | undefined;
    let stuck = false;
    const ended = new Promise<void>((resolve) => {
      this.#onEnd = resolve;
      this.signal.addEventListener("abort", () => {
        grace = setTimeout(() => {
          stuck = true;
          resolve();
        }, abortGraceMs);
      });
    });
    const cancel = (): void => this.#fail(new PoolError("canceled", "the caller canceled the job"));
    const late = new PoolError("deadline_exceeded", "the deadline is over", { maybeExecuted: true });
    const deadline = setTimeout(() => this.#fail(late), timeoutMs);
    signal?.addEventListener("abort", cancel);
    if (signal?.aborted) {
      cancel();
      this.#onEnd();
    } else invoke(this.#loaded, this, (call, failure) => this.#report(call, failure));
    await ended;
    clearTimeout(deadline);
    clearTimeout(grace);
    signal?.removeEventListener("abort", cancel);
    return this.#tested(stuck);
  }

  progress(payload: Uint8Array): void {
    if (this.#outcome !== undefined) return;
    const value = this.#loaded.codecs.output.decode(payload);
    this.#progress.push(value);
    this.#options.onProgress?.(value);
  }

  end(outcome: HandlerOutcome): void {
    this.#outcome ??= outcome;
    this.#onEnd();
  }

  /** Ends the job for its caller; the handler is waited for. */
  #fail(error: PoolError): void {
    if (this.#outcome !== undefined) return;
    const failure: Failure = { ok: false, error };
    this.#outcome = failure;
    this.#abort.abort(error);
    this.#report(this, failure);
  }

  /** As a worker: of a job that was aborted, what its handler throws after that is not logged. */
  #report(call: Call, failure: Failure): void {
    if (!call.signal.aborted || call.signal.reason === failure.error) this.#log.push(failedJob(call, failure));
  }

  async #tested(stuck: boolean): Promise<TestedJob> {
    const outcome = this.#outcome as HandlerOutcome;
    const common = { progress: this.#progress, log: this.#log, stuck };
    if (!outcome.ok) return { ...common, value: undefined, error: outcome.error, payload: undefined };
    const { payload } = outcome;
    return { ...common, value: await this.#decode(payload), error: undefined, payload };
  }

  async #decode(payload: Uint8Array): Promise<unknown> {
    const { definition, codecs } = this.#loaded;
    const value = codecs.output.decode(payload);
    if (definition === undefined) return value;
    const checked = await contractsOf(definition).output.read(value);
    if (checked.ok) return checked.value;
    throw toPoolError(new Error("the result does not fit the schema that it was checked by"));
  }
}
