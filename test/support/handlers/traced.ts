/** A handler that tells which span is active in it, after it has waited. A thread or process has an SDK of its own. */
import { isMainThread } from "node:worker_threads";
import { context, trace } from "@opentelemetry/api";
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import type { Job } from "../../../index.js";

const isIsolated = !isMainThread || process.send !== undefined;
if (isIsolated) new NodeTracerProvider().register();

export async function run(job: Job<string>): Promise<{ traceId?: string; spanId?: string; traceparent?: string }> {
  await new Promise((resolve) => setImmediate(resolve));
  if (job.payload === "bad") throw Object.assign(new Error("it went wrong"), { code: "wrong.way" });
  const active = trace.getSpan(context.active())?.spanContext();
  return {
    ...(active === undefined ? {} : { traceId: active.traceId, spanId: active.spanId }),
    ...(job.traceparent === undefined ? {} : { traceparent: job.traceparent }),
  };
}
