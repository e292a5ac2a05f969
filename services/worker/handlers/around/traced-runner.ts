/**
 * Each run of a handler as a span, in whichever way the handler runs.
 *
 * The span is made in the worker's own process, so it is there also when a thread or
 * process has no SDK of its own, and it ends when the handler is gone. Its context is
 * active in the handler: here by being entered, beyond this process by the job's `traceparent`.
 */
import type { Span } from "@opentelemetry/api";
import { jobAttributes, type Telemetry } from "../../../../mesh/trace/telemetry.js";
import type { Call, HandlerOutcome, Runner } from "../runner.js";

/** A runner that makes a span of each run. */
export function tracedRunner(runner: Runner, telemetry: Telemetry): Runner {
  return new Proxy(runner, {
    get: (target, name) => {
      if (name === "run") return (call: Call) => runTraced(target, telemetry, call);
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function runTraced(runner: Runner, telemetry: Telemetry, call: Call): void {
  const { pool, id, bytes, worker, attempt } = call;
  const { api, tracer } = telemetry;
  const parent = telemetry.contextOf(call);
  const sender = api.trace.getSpanContext(parent);
  const attributes = {
    ...jobAttributes("run", { pool, id, bytes: bytes.length }),
    "poolmesh.worker": worker,
    "poolmesh.attempt": attempt,
  };
  const links = sender === undefined ? [] : [{ context: sender }];
  const span = tracer.startSpan(`run ${pool}`, { kind: api.SpanKind.CONSUMER, attributes, links }, parent);
  const traced = new TracedCall(call, span, telemetry);
  api.context.with(api.trace.setSpan(parent, span), () => runner.run(traced));
}

class TracedCall implements Call {
  readonly id: string;
  readonly pool: string;
  readonly worker: string;
  readonly attempt: number;
  readonly bytes: Uint8Array;
  readonly deadlineAtMs: number;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  readonly #call: Call;
  readonly #span: Span;
  readonly #telemetry: Telemetry;

  constructor(call: Call, span: Span, telemetry: Telemetry) {
    this.#call = call;
    this.#span = span;
    this.#telemetry = telemetry;
    this.id = call.id;
    this.pool = call.pool;
    this.worker = call.worker;
    this.attempt = call.attempt;
    this.bytes = call.bytes;
    this.deadlineAtMs = call.deadlineAtMs;
    const { traceparent = call.traceparent, tracestate = call.tracestate } = telemetry.headersOf(span);
    this.traceparent = traceparent;
    this.tracestate = tracestate;
  }

  get timeLeftMs(): number {
    return this.#call.timeLeftMs ?? this.deadlineAtMs - performance.now();
  }

  get signal(): AbortSignal {
    return this.#call.signal;
  }

  progress(payload: Uint8Array): void {
    this.#call.progress(payload);
  }

  end(outcome: HandlerOutcome): void {
    // A job that was aborted has ended for its caller, whatever its handler says then.
    const { aborted, reason } = this.#call.signal;
    this.#telemetry.end(this.#span, aborted ? reason : outcome.ok ? undefined : outcome.error);
    this.#call.end(outcome);
  }
}
