/** Who calls: the address at the other end of the connection. */
import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import type { HttpRequest } from "./exchange.js";

/** The other end's address; "" when it has left already. */
export const peerKey = createContextKey("", { description: "the address of the caller" });

/** The address from which a call came, such as "127.0.0.1". */
export function peerOf(context: HandlerContext): string {
  return context.values.get(peerKey);
}

/** The address at the other end of a request's connection. */
export function addressOf(req: HttpRequest): string {
  return req.socket.remoteAddress ?? "";
}
