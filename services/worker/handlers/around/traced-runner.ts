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
import { CallAround } from "./call-around.js";

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
  const traced = new CallAround(call, telemetry.headersOf(span), (outcome) => {
    endSpan(telemetry, span, call, outcome);
    call.end(outcome);
  });
  api.context.with(api.trace.setSpan(parent, span), () => runner.run(traced));
}

/** The end of the run's span: a job that was aborted has ended for its caller, whatever its handler says then. */
function endSpan(telemetry: Telemetry, span: Span, { signal }: Call, outcome: HandlerOutcome): void {
  const { aborted, reason } = signal;
  telemetry.end(span, aborted ? reason : outcome.ok ? undefined : outcome.error);
}
