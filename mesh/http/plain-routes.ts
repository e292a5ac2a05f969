/**
 * Plain HTTP besides the RPCs: /healthz, /readyz, /metrics, and what a program adds.
 */
import type { Logger } from "../process/log.js";
import { answerText, type HttpRequest, type HttpResponse, pathOf } from "./rpc/exchange.js";

/** What the plain routes need of their server. */
export interface PlainSources {
  /** True, or the reason why it is not ready. */
  readonly isReady: () => true | string;
  /** Prometheus text. */
  readonly metrics?: (() => Promise<string>) | undefined;
  /** More plain HTTP, such as a page; true when it answered. */
  readonly plain?: ((req: HttpRequest, res: HttpResponse) => boolean) | undefined;
}

const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Answers a request that is not an RPC. */
export async function answerPlain(
  req: HttpRequest,
  res: HttpResponse,
  sources: PlainSources,
  log: Logger,
): Promise<void> {
  try {
    const path = pathOf(req);
    if (path === "/healthz" && reads(req, res)) answerText(res, 200, "ok");
    else if (path === "/readyz" && reads(req, res)) answerReady(res, sources.isReady());
    else if (path === "/metrics" && sources.metrics !== undefined && reads(req, res)) {
      const text = await sources.metrics();
      res.writeHead(200, { "content-type": METRICS_TYPE, "cache-control": "no-store" });
      res.end(text);
    } else if (!res.writableEnded && sources.plain?.(req, res) !== true) {
      answerText(res, 404, "not_found: nothing is served at this path");
    }
  } catch (error) {
    log.error({ error: error instanceof Error ? error.stack : String(error) }, "request failed");
    if (res.headersSent) res.destroy();
    else answerText(res, 500, "internal: internal error");
  }
}

function reads(req: HttpRequest, res: HttpResponse): boolean {
  if (req.method === "GET" || req.method === "HEAD") return true;
  answerText(res, 405, "method not allowed: use GET", { allow: "GET, HEAD" });
  return false;
}

function answerReady(res: HttpResponse, ready: true | string): void {
  if (ready === true) answerText(res, 200, "ok");
  else answerText(res, 503, ready);
}
