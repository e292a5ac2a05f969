/**
 * What a manager does with each job of a pool, as spans and metrics of OpenTelemetry.
 *
 * A span `dispatch` lasts from the taking of a job to its outcome. Its events are what
 * happens to the job meanwhile. The job goes on to its worker with this span's context.
 */
import type { Histogram, Span } from "@opentelemetry/api";
import { DURATION_BOUNDS_MS } from "../../../mesh/job/containers.js";
import type { Outcome } from "../../../mesh/job/job.js";
import { jobAttributes, type Telemetry } from "../../../mesh/trace/telemetry.js";
import type { Attempt, Job, JobObserver } from "../jobs/job.js";
import type { DurationKind, JobExemplars } from "./job-exemplars.js";

/** Set in the flags of a trace that is recorded. */
const SAMPLED = 1;

/** What it works with besides the SDK. */
export interface DispatchTracerParts {
  /** This manager's id. */
  readonly manager: string;
  readonly exemplars: JobExemplars;
  /** Milliseconds since the epoch. */
  readonly wallNow: () => number;
}

export class DispatchTracer implements JobObserver {
  readonly #pool: string;
  readonly #telemetry: Telemetry;
  readonly #parts: DispatchTracerParts;
  /** A job that is collected before its end takes its span along. */
  readonly #spans = new WeakMap<Job, Span>();
  readonly #durations: Readonly<Record<DurationKind, Histogram>>;

  constructor(pool: string, telemetry: Telemetry, parts: DispatchTracerParts) {
    this.#pool = pool;
    this.#telemetry = telemetry;
    this.#parts = parts;
    const durations = (name: string, what: string): Histogram => telemetry.durations(name, what, DURATION_BOUNDS_MS);
    this.#durations = {
      wait: durations("poolmesh.job.wait.duration", "From submit to the sending of the last attempt."),
      run: durations("poolmesh.job.run.duration", "From the sending of the last attempt to the outcome."),
      total: durations("poolmesh.job.duration", "From submit to the outcome."),
    };
  }

  taken(job: Job): void {
    const { spec } = job;
    const said = { pool: this.#pool, id: spec.id, bytes: spec.payload.length, client: spec.client };
    const attributes = { ...jobAttributes("dispatch", said), "poolmesh.manager": this.#parts.manager };
    const { tracer, api } = this.#telemetry;
    const options = { kind: api.SpanKind.INTERNAL, attributes };
    const span = tracer.startSpan(`dispatch ${this.#pool}`, options, this.#telemetry.contextOf(spec));
    this.#spans.set(job, span);
    const { traceparent, tracestate } = this.#telemetry.headersOf(span);
    if (traceparent === undefined) return;
    spec.traceparent = traceparent;
    spec.tracestate = tracestate;
  }

  parked(job: Job): void {
    this.#spans.get(job)?.addEvent("parked");
  }

  sent({ job, count }: Attempt, worker: string): void {
    this.#spans.get(job)?.addEvent(worker === "" ? "offered" : "assigned", factsOf(count, worker));
  }

  refused({ job, count }: Attempt, worker: string): void {
    this.#spans.get(job)?.addEvent("refused", factsOf(count, worker));
  }

  accepted({ job, count }: Attempt, worker: string): void {
    this.#spans.get(job)?.addEvent("accepted", factsOf(count, worker));
  }

  revoked({ job, count, worker = "" }: Attempt): void {
    this.#spans.get(job)?.addEvent("revoked", factsOf(count, worker));
  }

  ended(job: Job, outcome: Outcome, nowMs: number): void {
    const { submittedAtMs, attempt } = job;
    const span = this.#spans.get(job);
    const result = outcome.ok ? "ok" : outcome.error.reason;
    this.#took("total", nowMs - submittedAtMs, result, span);
    this.#took("wait", (attempt?.sentAtMs ?? nowMs) - submittedAtMs, result, span);
    if (attempt !== undefined) this.#took("run", nowMs - attempt.sentAtMs, result, span);
    if (span === undefined) return;
    this.#spans.delete(job);
    const { worker, attempt: count } = outcome.ok ? outcome.result : outcome;
    this.#telemetry.end(span, outcome.ok ? undefined : outcome.error, factsOf(count, worker));
  }

  /** Counts a duration within the job's span, so that both kinds of metrics can name its trace. */
  #took(kind: DurationKind, ms: number, outcome: string, span: Span | undefined): void {
    const { trace, ROOT_CONTEXT } = this.#telemetry.api;
    const within = span === undefined ? ROOT_CONTEXT : trace.setSpan(ROOT_CONTEXT, span);
    this.#durations[kind].record(ms / 1_000, { "poolmesh.pool": this.#pool, "poolmesh.outcome": outcome }, within);
    const { traceId, traceFlags = 0 } = span?.spanContext() ?? {};
    if (traceId === undefined || (traceFlags & SAMPLED) === 0) return;
    const { exemplars, wallNow } = this.#parts;
    exemplars.add(kind, { pool: this.#pool, outcome }, ms, { traceId, wallMs: wallNow() });
  }
}

function factsOf(attempt: number, worker: string): Record<string, string | number> {
  return { "poolmesh.attempt": attempt, ...(worker === "" ? {} : { "poolmesh.worker": worker }) };
}
