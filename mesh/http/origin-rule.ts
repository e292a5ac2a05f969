/**
 * Who may send requests to a port: the Host and Origin rules.
 *
 * Pure. A foreign web page can reach a loopback port in two ways: by a name that it
 * makes resolve to 127.0.0.1 (DNS rebinding), or by a cross-site request. The Host
 * rule stops the first, the Origin rule the second. An address in digits cannot be
 * rebound.
 */

/** Whom a port answers. */
export interface OriginRule {
  /** Host names besides loopback ones, lower case, without a port. Pages of these hosts may call, too. */
  readonly allowedHosts: readonly string[];
  /** The host that is listened on. Other pages of that host may not call: they may be somebody else's. */
  readonly listenHost?: string;
  /** Also answer to any address in digits: the port is public. */
  readonly anyAddress: boolean;
}

const AUTHORITY = /^(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::\d{1,5})?$/;
const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/;

/** Whether `host` (a name or an address, without a port) is this machine only. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, "").toLowerCase();
  if (bare === "localhost" || bare === "::1") return true;
  return IPV4.test(bare) && bare.startsWith("127.");
}

/** Whether `authority` is a host and perhaps a port, and not a text that only looks so, such as "localhost:99999". */
export function isWellFormed(authority: string): boolean {
  return AUTHORITY.test(authority.toLowerCase()) && URL.canParse(`http://${authority}`);
}

/** Whether a request for `authority` (host, and perhaps a port) is answered. */
export function isHostAllowed(authority: string | undefined, rule: OriginRule): boolean {
  const host = hostOf(authority);
  if (host === undefined) return false;
  if (isLoopback(host) || host === rule.listenHost || rule.allowedHosts.includes(host)) return true;
  return rule.anyAddress && (host.startsWith("[") || IPV4.test(host));
}

/** What a request's Origin header says about it. */
export type OriginVerdict = "none" | "same" | "allowed" | "foreign";

/** Judges an Origin header. "same" and "none" need no CORS headers, "allowed" does. */
export function judgeOrigin(origin: string | undefined, authority: string, rule: OriginRule): OriginVerdict {
  if (origin === undefined) return "none";
  if (!/^https?:\/\//i.test(origin) || !URL.canParse(origin)) return "foreign";
  const url = new URL(origin);
  if (url.host === authority.toLowerCase()) return "same";
  return rule.allowedHosts.includes(url.hostname) ? "allowed" : "foreign";
}

function hostOf(authority: string | undefined): string | undefined {
  const host = AUTHORITY.exec(authority?.toLowerCase() ?? "")?.[1];
  return host?.endsWith(".") ? host.slice(0, -1) : host;
}
