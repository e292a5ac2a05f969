/**
 * The gates in front of every request: Host, Origin, CORS.
 *
 * Decided here: how a refused request and a browser's preflight are answered.
 * The rules themselves are in origin-rule.ts.
 */
import { cors } from "@connectrpc/connect";
import { isHostAllowed, isWellFormed, judgeOrigin, type OriginRule } from "./origin-rule.js";
import { answerText, authorityOf, type HttpRequest, type HttpResponse, isHttp2 } from "./rpc/exchange.js";

/** Headers of ours that a page of an allowed origin may send. */
const OWN_HEADERS = ["authorization", "pool"];
const PREFLIGHT_SECONDS = "7200";

/** Checks a request. True: it may go on. False: it has been answered with a refusal or a preflight. */
export function passGates(req: HttpRequest, res: HttpResponse, rule: OriginRule): boolean {
  const authority = authorityOf(req);
  if (!isOneHost(req, authority)) {
    answerText(res, 400, "invalid_argument: Host: send one, a host name or an address and a port up to 65535");
    return false;
  }
  if (countOf(req, "authorization") > 1) {
    answerText(res, 400, "invalid_argument: Authorization: send one");
    return false;
  }
  if (authority === undefined || !isHostAllowed(authority, rule)) {
    answerText(res, 403, "permission_denied: this server does not answer to that Host; see the option allowedHosts");
    return false;
  }
  const origin = req.headers.origin;
  const verdict = judgeOrigin(origin, authority, rule);
  if (verdict === "foreign") {
    answerText(res, 403, "permission_denied: requests from that Origin are refused; see the option allowedHosts");
    return false;
  }
  if (verdict === "allowed") allowOrigin(res, origin ?? "");
  if (req.method === "OPTIONS" && req.headers["access-control-request-method"] !== undefined) {
    answerPreflight(req, res, verdict === "allowed");
    return false;
  }
  return true;
}

/** How often a request has a header. Of two, a proxy in front of this server may have checked the other one. */
function countOf(req: HttpRequest, header: string): number {
  return req.rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === header).length;
}

/** Whether a request has one well-formed host. */
function isOneHost(req: HttpRequest, authority: string | undefined): boolean {
  const host = req.headers.host?.toLowerCase();
  if (countOf(req, "host") > 1 || (isHttp2(req) && host !== undefined && host !== authority?.toLowerCase()))
    return false;
  return authority === undefined || isWellFormed(authority);
}

function allowOrigin(res: HttpResponse, origin: string): void {
  res.setHeader("access-control-allow-origin", origin);
  res.setHeader("access-control-expose-headers", cors.exposedHeaders.join(", "));
  res.setHeader("vary", "Origin");
}

function answerPreflight(req: HttpRequest, res: HttpResponse, allowed: boolean): void {
  if (allowed) {
    res.setHeader("access-control-allow-methods", cors.allowedMethods.join(", "));
    res.setHeader("access-control-allow-headers", [...cors.allowedHeaders, ...OWN_HEADERS].join(", "));
    res.setHeader("access-control-max-age", PREFLIGHT_SECONDS);
    if (req.headers["access-control-request-private-network"] === "true") {
      res.setHeader("access-control-allow-private-network", "true");
    }
  }
  res.statusCode = 204;
  res.end();
}
