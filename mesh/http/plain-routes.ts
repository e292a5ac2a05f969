/**
 * Plain HTTP besides the RPCs: /healthz, /readyz, /metrics, and what a program adds.
 *
 * Each route is a line in the table of rights (mesh/auth/rights.ts); there is no other.
 */
import type { Gate } from "../auth/gate.js";
import { type Route, routeOf } from "../auth/rights.js";
import { CATALOGUE, PoolError } from "../errors.js";
import type { Logger } from "../process/log.js";
import { acceptsOpenMetrics, type Exemplars, OPEN_METRICS_TYPE, openMetrics } from "../trace/open-metrics.js";
import { answerText, type HttpRequest, type HttpResponse, pathOf } from "./rpc/exchange.js";

/** What the plain routes need of their server. */
export interface PlainSources {
  /** True, or the reason why it is not ready. */
  readonly isReady: () => true | string;
  /** Prometheus text. */
  readonly metrics?: (() => Promise<string>) | undefined;
  /** Traces beside buckets of its histograms: where there are some, a scraper that accepts OpenMetrics gets it. */
  readonly exemplars?: (() => Exemplars) | undefined;
  /** More plain HTTP, such as a page; true when it answered. */
  readonly plain?: ((req: HttpRequest, res: HttpResponse) => boolean) | undefined;
}

const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Answers a request that is not an RPC, when the gate lets its caller in. */
export async function answerPlain(
  req: HttpRequest,
  res: HttpResponse,
  sources: PlainSources & { readonly gate: Gate },
  log: Logger,
): Promise<void> {
  try {
    const asked = routeOf(pathOf(req));
    const route = asked === "/metrics" && sources.metrics === undefined ? "page" : asked;
    if (route !== "page" && !reads(req, res)) return;
    await sources.gate.admitRoute(route, req);
    await ANSWERS[route](req, res, sources);
  } catch (error) {
    if (error instanceof PoolError) return refuse(res, error);
    log.error({ error: error instanceof Error ? error.stack : String(error) }, "request failed");
    if (res.headersSent) res.destroy();
    else answerText(res, 500, "internal: internal error");
  }
}

type Answer = (req: HttpRequest, res: HttpResponse, sources: PlainSources) => void | Promise<void>;

const ANSWERS: Record<Route, Answer> = {
  "/healthz": (_, res) => answerText(res, 200, "ok"),
  "/readyz": (_, res, { isReady }) => answerReady(res, isReady()),
  "/metrics": async (req, res, { metrics, exemplars }) => {
    const text = (await metrics?.()) ?? "";
    const traces = exemplars?.();
    const isOpen = traces !== undefined && traces.size > 0 && acceptsOpenMetrics(acceptOf(req));
    const type = isOpen ? OPEN_METRICS_TYPE : METRICS_TYPE;
    res.writeHead(200, { "content-type": type, "cache-control": "no-store", vary: "accept" });
    res.end(isOpen ? openMetrics(text, traces) : text);
  },
  page: (req, res, { plain }) => {
    if (!res.writableEnded && plain?.(req, res) !== true) {
      answerText(res, 404, "not_found: nothing is served at this path");
    }
  },
};

function acceptOf({ headers }: HttpRequest): string | undefined {
  const { accept } = headers;
  return typeof accept === "string" ? accept : undefined;
}

function refuse(res: HttpResponse, error: PoolError): void {
  const { number } = CATALOGUE[error.reason];
  const headers = number === 401 ? { "www-authenticate": "Bearer" } : undefined;
  answerText(res, number, `${error.reason}: ${error.message}`, headers);
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
