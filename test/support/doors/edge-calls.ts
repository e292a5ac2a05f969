/** A well-formed call of every RPC that needs a right, for one pool and one worker or job in it. */
import type {
  DescMessage,
  DescMethod,
  DescMethodStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
} from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { ExternalScaler } from "../../../gen/externalscaler/externalscaler_pb.js";
import { ServerReflection } from "../../../gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ServerReflectionAlpha } from "../../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { DurableService } from "../../../gen/poolmesh/v1/durable_pb.js";
import { JobService } from "../../../gen/poolmesh/v1/job_pb.js";
import { ManagerService } from "../../../gen/poolmesh/v1/manager_pb.js";
import { MeterService, WorkerOp } from "../../../gen/poolmesh/v1/meter_pb.js";
import { Capacity } from "../../../gen/relay/relay_pb.js";
import { WorkerStatus } from "../../../gen/solpipe/solpipe_pb.js";

/** Whom a call is about. */
export interface Target {
  readonly pool: string;
  readonly worker: string;
  readonly jobId: string;
}

/** Which server has a service, and the service. */
const SERVICES: readonly (readonly ["manager" | "meter", DescService])[] = [
  ["manager", ManagerService],
  ["manager", DurableService],
  ["manager", JobService],
  ["meter", MeterService],
  ["meter", ExternalScaler],
  ["meter", WorkerStatus],
  ["meter", Capacity],
  ["manager", ServerReflection],
  ["meter", ServerReflectionAlpha],
];

/** One RPC. */
export interface EdgeCall {
  readonly path: string;
  readonly server: "manager" | "meter";
  /** Resolves with the first answer. Rejects with the call's error, that of its one job included. */
  /** Whether it answers with a stream. */
  readonly isStream: boolean;
  /** Opens the stream, whose one request does not end, until `signal` aborts. Not for a unary RPC. */
  readonly open: (
    transport: Transport,
    target: Target,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ) => Promise<AsyncIterable<unknown>>;
  readonly call: (transport: Transport, target: Target, headers?: Readonly<Record<string, string>>) => Promise<unknown>;
}

/** All of them. */
export const EDGE_CALLS: readonly EdgeCall[] = SERVICES.flatMap(([server, service]) =>
  service.methods.map((method) => ({
    path: `/${service.typeName}/${method.name}`,
    server,
    isStream: method.methodKind !== "unary",
    open: (transport, target, headers, signal) =>
      openStream(transport, method as DescMethodStreaming, target, headers, signal),
    call: (transport, target, headers = {}) => callOnce(transport, method, target, headers),
  })),
);

async function openStream(
  transport: Transport,
  method: DescMethodStreaming,
  target: Target,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<AsyncIterable<unknown>> {
  const withPool = { pool: target.pool, ...headers };
  const request = requestOf(method, target) as Record<string, unknown>;
  const requests = method.methodKind === "bidi_streaming" ? heldOpen(request, signal) : once(request);
  return (await transport.stream(method, signal, undefined, withPool, requests)).message;
}

async function* heldOpen<T>(message: T, signal: AbortSignal): AsyncGenerator<T> {
  yield message;
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

async function callOnce(
  transport: Transport,
  method: DescMethod,
  target: Target,
  headers: Readonly<Record<string, string>>,
): Promise<unknown> {
  const request = requestOf(method, target);
  const withPool = { pool: target.pool, ...headers };
  const limitMs = 5_000;
  if (method.methodKind === "unary") {
    const unary = method as DescMethodUnary;
    return (await transport.unary(unary, undefined, limitMs, withPool, request as MessageInitShape<DescMessage>))
      .message;
  }
  const end = new AbortController();
  const response = await transport.stream(
    method as DescMethodStreaming,
    end.signal,
    limitMs,
    withPool,
    once(request as Record<string, unknown>),
  );
  for await (const message of response.message) {
    end.abort();
    return message;
  }
  return undefined;
}

async function* once<T>(message: T): AsyncGenerator<T> {
  yield message;
}

function requestOf(method: DescMethod, { pool, worker, jobId }: Target): object {
  const job = { pool, input: { case: "text", value: "1" }, timeoutMs: 2_000n, noWait: true };
  const stored = { pool, input: { case: "text", value: "1" } };
  const selector = { pool, worker };
  const ref = { name: "x", namespace: "y", scalerMetadata: { pool } };
  const byName: Readonly<Record<string, object>> = {
    Submit: job,
    SubmitMany: { ref: 1n, job },
    DetachSubmit: { job },
    GetOutcome: { pool, jobId },
    Cancel: { pool, jobId },
    Enqueue: stored,
    EnqueueMany: { ref: 1n, job: stored },
    EnqueueBatch: { pool, batchId: "edge", onComplete: { pool }, more: true },
    GetBatch: { pool, batchId: jobId },
    GetJob: { pool, jobId },
    WaitOutcome: { pool, jobId, waitMs: 1 },
    CancelJob: { pool, jobId },
    GetDead: { pool, jobId },
    RetryDead: { selector: { pool, all: true } },
    PurgeDead: { selector: { pool, all: true } },
    DrainWorker: { selector },
    PauseWorker: { selector },
    ResumeWorker: { selector },
    ResizeWorker: { selector, slots: 9 },
    ControlWorker: { pool, worker, op: WorkerOp.PAUSE },
    IsActive: ref,
    StreamIsActive: ref,
    GetMetricSpec: ref,
    GetMetrics: { scaledObjectRef: ref, metricName: "" },
    ServerReflectionInfo: { messageRequest: { case: "listServices", value: "*" } },
  };
  const known = byName[method.name];
  const has = (name: string): boolean => method.input.fields.some((each) => each.localName === name);
  const usual = has("filter") ? { filter: { pool } } : has("pool") ? { pool } : {};
  return create(method.input, (known ?? usual) as MessageInitShape<DescMessage>);
}
