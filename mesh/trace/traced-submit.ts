/** A submission as a span: from its call to its outcome. Its context goes with the job. */
import type { Outcome, SubmitOptions } from "../job/job.js";
import { jobAttributes, type Telemetry } from "./telemetry.js";

/** Submits with options that carry a context; returns the job's id, or throws what is refused at once. */
export type StartJob = (options: SubmitOptions, onOutcome: (outcome: Outcome) => void) => string;

/** The span's parent is the context that the options carry, else that of this turn. */
export function tracedSubmit(
  telemetry: Telemetry,
  pool: string,
  payload: Uint8Array,
  options: SubmitOptions,
  onOutcome: (outcome: Outcome) => void,
  start: StartJob,
): string {
  const { id = "", client } = options;
  const said = { pool, id, bytes: payload.length, ...(client === undefined ? {} : { client }) };
  const span = telemetry.tracer.startSpan(
    `submit ${pool}`,
    { kind: telemetry.api.SpanKind.PRODUCER, attributes: jobAttributes("submit", said) },
    telemetry.parentOf(options),
  );
  const end = (outcome: Outcome): void => {
    const { worker, attempt } = outcome.ok ? outcome.result : outcome;
    const attributes = { "messaging.message.id": outcome.id, "poolmesh.worker": worker, "poolmesh.attempt": attempt };
    telemetry.end(span, outcome.ok ? undefined : outcome.error, attributes);
    onOutcome(outcome);
  };
  try {
    return start({ ...options, ...telemetry.headersOf(span) }, end);
  } catch (error) {
    telemetry.end(span, error);
    throw error;
  }
}

/** Options with the context of this turn, unless they carry one. */
export function withContext<O extends { traceparent?: string; tracestate?: string }>(
  telemetry: Telemetry,
  options: O,
): O {
  const { trace, context } = telemetry.api;
  const span = options.traceparent === undefined ? trace.getSpan(context.active()) : undefined;
  return span === undefined ? options : { ...options, ...telemetry.headersOf(span) };
}
