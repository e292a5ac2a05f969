/**
 * OpenTelemetry, where the program has registered an SDK of it.
 *
 * Decided here: when jobs are traced. `@opentelemetry/api` is an optional peer, and is
 * loaded only when an SDK is there as a part starts. Without one nothing is loaded, and
 * a job passes a few checks of a field. Contexts travel in the W3C form, whatever propagator the program has.
 */
import { createRequire } from "node:module";
import type { Attributes, Context, Histogram, Meter, Span, SpanContext, Tracer } from "@opentelemetry/api";
import { PoolError } from "../errors.js";
import { packageVersion } from "../process/identity.js";

type Api = typeof import("@opentelemetry/api");

/** Where an SDK registers itself, by the API's own rule for its first major version. */
const REGISTRY = Symbol.for("opentelemetry.js.api.1");
const NAME = "poolmesh";

/** A context as headers carry it. */
export interface TraceHeaders {
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
}

let loaded: Telemetry | undefined;

/** What a part traces with, from its start on; undefined when no SDK is registered, or the API is not installed. */
export function telemetry(): Telemetry | undefined {
  const registered = (globalThis as { [REGISTRY]?: { trace?: unknown; metrics?: unknown } })[REGISTRY];
  if (registered?.trace === undefined && registered?.metrics === undefined) return undefined;
  loaded ??= load();
  return loaded;
}

function load(): Telemetry | undefined {
  try {
    // In this turn, since a part that shares a connection starts within one.
    return new Telemetry(createRequire(import.meta.url)("@opentelemetry/api") as Api);
  } catch {
    return undefined;
  }
}

export class Telemetry {
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
  }

  get api(): Api {
    return this.#api;
  }

  get tracer(): Tracer {
    return this.#api.trace.getTracer(NAME, packageVersion());
  }

  get meter(): Meter {
    return this.#api.metrics.getMeter(NAME, packageVersion());
  }

  /** A histogram of durations in seconds. */
  durations(name: string, description: string, boundsMs: readonly number[]): Histogram {
    const explicitBucketBoundaries = boundsMs.map((ms) => ms / 1_000);
    return this.meter.createHistogram(name, { unit: "s", description, advice: { explicitBucketBoundaries } });
  }

  /** The context that headers carry; the root context for none, or for what is none. */
  contextOf({ traceparent, tracestate }: TraceHeaders): Context {
    const { trace, ROOT_CONTEXT } = this.#api;
    const remote = this.#spanContextOf(traceparent, tracestate);
    return remote === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, remote);
  }

  /** The context of this turn, or that of headers where a caller gives them. */
  parentOf(headers: TraceHeaders): Context {
    return headers.traceparent === undefined ? this.#api.context.active() : this.contextOf(headers);
  }

  /** A span as headers; none of them for one that is not recorded at all. */
  headersOf(span: Span): TraceHeaders {
    const context = span.spanContext();
    if (!this.#api.isSpanContextValid(context)) return {};
    const { traceId, spanId, traceFlags, traceState } = context;
    const traceparent = `00-${traceId}-${spanId}-${(traceFlags & 0xff).toString(16).padStart(2, "0")}`;
    const tracestate = traceState?.serialize();
    return { traceparent, ...(tracestate ? { tracestate } : {}) };
  }

  /** Runs `work` where handlers find a job's context active. */
  within<T>(headers: TraceHeaders, work: () => T): T {
    return this.#api.context.with(this.contextOf(headers), work);
  }

  /** Ends a span with what became of its job. */
  end(span: Span, error: unknown, attributes: Attributes = {}): void {
    if (error !== undefined) {
      const reason = error instanceof PoolError ? error.reason : "internal";
      span.setAttribute("error.type", reason);
      const message = error instanceof Error ? error.message : String(error);
      span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message: message.slice(0, 512) });
    }
    span.setAttributes(attributes);
    span.end();
  }

  #spanContextOf(traceparent = "", tracestate = ""): SpanContext | undefined {
    const parts = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-|$)/.exec(traceparent);
    const [, traceId, spanId, flags] = parts ?? [];
    if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
    const traceState = tracestate === "" ? {} : { traceState: this.#api.createTraceState(tracestate) };
    const context = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true, ...traceState };
    return this.#api.isSpanContextValid(context) ? context : undefined;
  }
}

/** What spans of one job say of it, by the semantic conventions of messaging. */
export function jobAttributes(
  operation: "submit" | "dispatch" | "run",
  { pool, id, bytes, client = "" }: { pool: string; id: string; bytes: number; client?: string },
): Attributes {
  return {
    "messaging.system": "poolmesh",
    "messaging.operation.name": operation,
    ...(operation === "dispatch" ? {} : { "messaging.operation.type": operation === "submit" ? "send" : "process" }),
    "messaging.destination.name": pool,
    "messaging.message.id": id,
    "messaging.message.body.size": bytes,
    ...(client === "" ? {} : { "messaging.client.id": client }),
  };
}
