/** Who calls: the address at the other end of the connection, or the one that a trusted proxy names. */
import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import type { HttpRequest } from "./exchange.js";

/** The other end's address; "" when it has left already. */
export const peerKey = createContextKey("", { description: "the address of the caller" });

/** The address from which a call came, such as "127.0.0.1". */
export function peerOf(context: HandlerContext): string {
  return context.values.get(peerKey);
}

/** Addresses that trusted proxies have named. */
const NAMED = new WeakMap<HttpRequest, string>();

/** From now on a request counts as one from this address. */
export function nameAddress(req: HttpRequest, address: string): void {
  NAMED.set(req, address);
}

/** The address from which a request comes. */
export function addressOf(req: HttpRequest): string {
  return NAMED.get(req) ?? req.socket.remoteAddress ?? "";
}

/**
 * Which callers without a name count as one: those of an IPv4 address, or of an IPv6 /64, within
 * which a machine can use any address.
 */
export function sourceOf(address: string): string {
  if (!address.includes(":")) return address;
  if (/^::ffff:[\d.]+$/i.test(address)) return address.slice("::ffff:".length);
  const [head = "", tail = ""] = address.split("%", 1)[0]?.split("::") ?? [];
  const groups = head === "" ? [] : head.split(":");
  const missing = 8 - groups.length - (tail === "" ? 0 : tail.split(":").length);
  return [...groups, ...Array.from({ length: address.includes("::") ? missing : 0 }, () => "0")].slice(0, 4).join(":");
}
