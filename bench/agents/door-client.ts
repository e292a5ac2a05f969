/** A client of ManagerService, in its own process: unary calls and the stream, over each protocol. */
import { createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { closedLoop, type LoopResult } from "../harness/loops/closed-loop.js";
import { type ManagerClient, type StreamLoad, streamLoop } from "../harness/loops/stream-loop.js";
import { managerProto } from "../harness/processes/services.js";
import type { SecuredCaller } from "../harness/secured.js";

/** How a client speaks. */
export type Protocol = "connect-h1" | "connect-h2" | "grpc";

/** Whom to call, and how much. */
export interface DoorLoad extends StreamLoad {
  readonly url: string;
  readonly protocol: Protocol;
  /** For a URL that begins with https. */
  readonly secured?: SecuredCaller;
}

const clients = new Map<string, ManagerClient>();

/** Unary Submit, a number of calls always in flight. */
export async function unary(load: DoorLoad): Promise<LoopResult> {
  const client = clientOf(load);
  const caller = {
    encode: (text: string) => ({ pool: load.pool, input: { case: "payload" as const, value: bytesOf(text) } }),
    decode: String,
    call: (request: unknown, done: (error: Error | undefined, answer: unknown) => void) => {
      client.submit(request as Parameters<ManagerClient["submit"]>[0]).then(
        (answer) => done(undefined, answer),
        (error: Error) => done(error, undefined),
      );
    },
    stop: async () => {},
  };
  return closedLoop(caller, load);
}

/** One SubmitMany stream, a number of jobs always in flight. */
export async function stream(load: DoorLoad): Promise<LoopResult> {
  return streamLoop(clientOf(load), load);
}

function clientOf(load: DoorLoad): ManagerClient {
  const key = `${load.protocol} ${load.url}`;
  const client = clients.get(key) ?? createClient(managerProto.ManagerService, transportOf(load));
  clients.set(key, client);
  return client;
}

function transportOf({ url, protocol, secured }: DoorLoad) {
  const shared = {
    baseUrl: url,
    nodeOptions: secured === undefined ? {} : { ca: secured.ca },
    interceptors: secured === undefined ? [] : [bear(secured.token)],
  };
  if (protocol === "grpc") return createGrpcTransport(shared);
  return createConnectTransport({ ...shared, httpVersion: protocol === "connect-h1" ? "1.1" : "2" });
}

function bear(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text));
}
