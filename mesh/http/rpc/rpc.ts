/**
 * RPCs from HTTP requests: Connect, gRPC and gRPC-Web on either HTTP version.
 *
 * The adapter that Connect ships prints to the console. It also cuts the connection
 * before the refusal of a body is written. So the adapter between Connect's universal
 * handlers and Node is our own (docs/adr/0024).
 */
import { constants } from "node:http2";
import { Code, ConnectError, type ConnectRouter, type ContextValues, createContextValues } from "@connectrpc/connect";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { Caller } from "../../auth/caller.js";
import { callerKey, type Gate, lineOf } from "../../auth/gate.js";
import { PoolError, safeMessage } from "../../errors.js";
import type { Logger } from "../../process/log.js";
import { toConnectError } from "../../wire/connect-errors.js";
import { correctUnary } from "./error-detail.js";
import { answerText, type HttpRequest, type HttpResponse, isHttp2, pathOf } from "./exchange.js";
import { FrameSink, frameSinkKey } from "./frames.js";
import { addressOf, peerKey } from "./peer.js";
import { readBody } from "./request-body.js";
import { headerMistake, spoilHugeTimeouts } from "./wire-mistakes.js";

type RpcHandler = ConnectRouter["handlers"][number];

/** What a refusal of a content type says is taken: by calls of one message each way, and by streams. */
const CALL_TYPES = "application/json, application/proto, application/grpc, application/grpc-web";
const STREAM_TYPES = "application/connect+json, application/connect+proto, application/grpc, application/grpc-web";
/** How many characters of a refused content type are shown. */
const MAX_TYPE_LENGTH = 100;
/** How long the rest of a refused HTTP/1.1 body is read and dropped, so that the refusal arrives. */
const LINGER_MS = 500;

/** The RPCs of a router. */
export class Rpcs {
  readonly #handlers: ReadonlyMap<string, RpcHandler>;
  readonly #gate: Gate;
  readonly #bodyMs: number;
  readonly #log: Logger;

  /**
   * @param bodyMs time for the body of a request that is not a stream, in milliseconds
   * @throws Error when an RPC has no line in the table of rights
   */
  constructor(router: ConnectRouter, gate: Gate, bodyMs: number, log: Logger) {
    this.#handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
    for (const path of this.#handlers.keys()) lineOf(path);
    this.#gate = gate;
    this.#bodyMs = bodyMs;
    this.#log = log;
  }

  /** Answers when the path is an RPC's or the request is gRPC; says whether it did. */
  answer(req: HttpRequest, res: HttpResponse): boolean {
    const handler = this.#handlers.get(pathOf(req));
    if (handler !== undefined) {
      void this.#call(handler, req, res);
      return true;
    }
    if (!(req.headers["content-type"] ?? "").startsWith("application/grpc")) return false;
    answerGrpcUnknown(req, res);
    return true;
  }

  async #call(handler: RpcHandler, req: HttpRequest, res: HttpResponse): Promise<void> {
    res.once("finish", () => dropRest(req));
    try {
      const values = contextOf(handler, req, res);
      const request = universalRequestFromNodeRequest(req, res, undefined, values);
      spoilHugeTimeouts(request.header);
      const mistake = headerMistake(request.header) ?? (await this.#admit(handler, req, values));
      const kind = handler.method.methodKind;
      const streams = kind === "client_streaming" || kind === "bidi_streaming";
      const body = mistake === undefined ? readBody(req, streams ? undefined : this.#bodyMs) : failing(mistake);
      const raw = await handler({ ...request, body });
      const response = kind === "unary" ? await correctUnary(raw) : raw;
      if (response.body === undefined && response.status >= 400) refuse(response.status, handler, req, res);
      else await universalResponseToNodeResponse(response, res);
    } catch (error) {
      this.#broken(error, handler, res);
    }
  }

  /** Puts the caller into the call's context, or says why it is refused. No byte of the body has been read yet. */
  async #admit(handler: RpcHandler, req: HttpRequest, values: ContextValues): Promise<ConnectError | undefined> {
    try {
      const caller: Caller | Promise<Caller> = this.#gate.admitRpc(handler.requestPath, req);
      values.set(callerKey, caller instanceof Promise ? await caller : caller);
      return undefined;
    } catch (error) {
      if (error instanceof PoolError) return toConnectError(error);
      throw error;
    }
  }

  /** The response could not be written: the client left, or a bug. */
  #broken(error: unknown, handler: RpcHandler, res: HttpResponse): void {
    this.#log.debug({ call: handler.requestPath, error: ConnectError.from(error).message }, "call ended early");
    if (res.headersSent || res.destroyed) {
      res.destroy();
      return;
    }
    res.writeHead(500, { "content-type": "application/json" });
    res.end(JSON.stringify({ code: "internal", message: "internal error" }));
  }
}

function contextOf({ method }: RpcHandler, req: HttpRequest, res: HttpResponse): ContextValues {
  const values = createContextValues().set(peerKey, addressOf(req));
  return method.methodKind === "server_streaming" ? values.set(frameSinkKey, new FrameSink(res)) : values;
}

/** A body that cannot be read: the call ends with this error, in the form of its protocol. */
// biome-ignore lint/correctness/useYield: it only fails
async function* failing(error: ConnectError): AsyncGenerator<Uint8Array> {
  throw error;
}

function refuse(status: number, handler: RpcHandler, req: HttpRequest, res: HttpResponse): void {
  const headers: Record<string, string> = {};
  let line = `${status}`;
  if (status === 405) {
    headers.allow = handler.allowedMethods.join(", ");
    line = `method not allowed: use ${headers.allow}`;
  }
  if (status === 415) {
    const taken = handler.method.methodKind === "unary" ? CALL_TYPES : STREAM_TYPES;
    headers["accept-post"] = taken;
    const said = safeMessage(req.headers["content-type"] ?? "").slice(0, MAX_TYPE_LENGTH);
    line = `unsupported media type ${said === "" ? "(no content-type)" : said}: use one of ${taken}`;
  }
  if (status === 505) {
    if (!isHttp2(req)) headers.connection = "close";
    line = "this call streams both ways: use HTTP/2";
  }
  answerText(res, status, line, headers);
}

/**
 * gRPC wants its own status where HTTP says 404, in a response of headers only:
 * over HTTP/2 they must end the stream, or clients take the answer for broken.
 */
function answerGrpcUnknown(req: HttpRequest, res: HttpResponse): void {
  const headers = {
    "content-type": req.headers["content-type"],
    "grpc-status": String(Code.Unimplemented),
    "grpc-message": "unknown service or method",
  };
  if (isHttp2(req)) {
    if (req.stream.destroyed) return;
    req.stream.respond({ ":status": 200, ...headers }, { endStream: true });
    return dropRest(req);
  }
  res.once("finish", () => dropRest(req));
  res.writeHead(200, headers);
  res.end();
}

/** After an answer that did not wait for the whole body. */
function dropRest(req: HttpRequest): void {
  if (req.complete) return;
  if (isHttp2(req)) {
    if (!req.stream.closed) req.stream.close(constants.NGHTTP2_NO_ERROR);
    return;
  }
  req.removeAllListeners("readable");
  req.resume();
  const timer = setTimeout(() => {
    if (!req.complete) req.socket.destroy();
  }, LINGER_MS);
  req.once("close", () => clearTimeout(timer));
}
