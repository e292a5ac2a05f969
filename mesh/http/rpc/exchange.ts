/**
 * One HTTP request and its response, whichever version of HTTP brought it.
 *
 * Decided here: the types, and how a short plain answer looks.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";

/** A request over HTTP/1.1 or HTTP/2. */
export type HttpRequest = IncomingMessage | Http2ServerRequest;
/** A response over HTTP/1.1 or HTTP/2. */
export type HttpResponse = ServerResponse | Http2ServerResponse;
/** Answers one request. Never throws. */
export type HttpListener = (req: HttpRequest, res: HttpResponse) => void;

/** Whether the request came over HTTP/2. */
export function isHttp2(req: HttpRequest): req is Http2ServerRequest {
  return "stream" in req;
}

/** The path without its query; "" when there is none, as with CONNECT. */
export function pathOf(req: HttpRequest): string {
  return (req.url ?? "").split("?", 1)[0] ?? "";
}

/** The host and port that the client asked for: `:authority`, or else the Host header. */
export function authorityOf(req: HttpRequest): string | undefined {
  return isHttp2(req) ? req.authority : req.headers.host;
}

/** Answers with one line of text. Does nothing when the answer has begun. */
export function answerText(
  res: HttpResponse,
  status: number,
  line: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (res.headersSent || res.writableEnded) return;
  res.statusCode = status;
  res.setHeader("content-type", "text/plain; charset=utf-8");
  res.setHeader("cache-control", "no-store");
  res.setHeader("x-content-type-options", "nosniff");
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  res.end(`${line}\n`);
}
