/** A small program to serve in tests of the HTTP face: it echoes, streams and waits. */
import { Code, ConnectError, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { ManagerService } from "../../../gen/poolmesh/v1/manager_pb.js";
import { WorkerStatus } from "../../../gen/solpipe/solpipe_pb.js";
import { PoolError } from "../../../mesh/errors.js";
import { HttpServer, type HttpServerOptions } from "../../../mesh/http/server.js";
import { fromConnectError } from "../../../mesh/wire/connect-errors.js";

/** What the handlers of an echo server saw. */
export interface Seen {
  /** Calls of Submit that reached their handler. */
  calls: number;
  /** Streams whose clean-up ran. */
  cleaned: number;
  /** Messages yielded by flooding streams. */
  yielded: number;
}

/** A server whose `Submit` answers by its pool: echo, or fail as the pool's name says. */
export function echoServer(options: Partial<HttpServerOptions> = {}): { server: HttpServer; seen: Seen } {
  const seen: Seen = { calls: 0, cleaned: 0, yielded: 0 };
  const server = new HttpServer({
    listen: { host: "127.0.0.1", port: 0 },
    services: [ManagerService, WorkerStatus],
    isReady: () => true,
    routes: (router) => {
      router.service(ManagerService, {
        async submit(request, context) {
          if (request.pool === "throw") throw new TypeError("secret detail in /etc/passwd");
          if (request.pool === "full") throw new PoolError("pool_full", "no room", { retryAfterMs: 40, parked: 7 });
          seen.calls += 1;
          if (request.pool === "forever") await new Promise(() => {});
          if (request.pool === "polite") await aborted(context.signal);
          return { jobId: request.jobId, output: request.input, attempt: 1 };
        },
        async *submitMany(requests) {
          for await (const request of requests) {
            yield { ref: request.ref, outcome: { case: "result", value: { output: request.job?.input } } as const };
          }
        },
      });
      router.service(WorkerStatus, {
        async *onStatus(_, context) {
          context.signal.addEventListener("abort", () => (seen.cleaned += 1), { once: true });
          const mode = context.requestHeader.get("pool");
          yield { capacity: 0.5 };
          if (mode === "flood") yield* flood(seen);
          if (mode === "deaf") await new Promise(() => {});
          await aborted(context.signal).catch(() => {});
        },
      });
    },
    ...options,
  });
  return { server, seen };
}

function* flood(seen: Seen) {
  for (;;) {
    seen.yielded += 1;
    yield { capacity: seen.yielded };
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** Every way to call an RPC, by name. */
export const TRANSPORTS: Record<string, (baseUrl: string, interceptors?: Interceptor[]) => Transport> = {
  "Connect, HTTP/1.1, JSON": (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false }),
  "Connect, HTTP/1.1, binary": (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" }),
  "Connect, HTTP/2": (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" }),
  "gRPC, HTTP/2": (baseUrl) => createGrpcTransport({ baseUrl }),
  "gRPC-Web, HTTP/1.1": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
  "gRPC-Web, HTTP/2": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "2" }),
};

/** A client of the echo server's ManagerService. */
export function managerClient(transport: Transport) {
  return createClient(ManagerService, transport);
}

/** A client of the echo server's WorkerStatus. */
export function statusClient(transport: Transport) {
  return createClient(WorkerStatus, transport);
}

/** The ConnectError that `work` rejects with. */
export async function errorOf(work: Promise<unknown>): Promise<ConnectError> {
  try {
    await work;
  } catch (error) {
    return ConnectError.from(error);
  }
  return new ConnectError("it succeeded", Code.Unknown);
}

/** The same as a PoolError. */
export async function rpcErrorOf(work: Promise<unknown>): Promise<PoolError> {
  return fromConnectError(await errorOf(work));
}
