/** The token that gives control of workers at the manager of a test, and who bears it. */
import type { Interceptor } from "@connectrpc/connect";

/** The token. */
export const CONTROL_TOKEN = "control-token-of-a-test";

/** Sends a token with every call. */
export function bearing(token: string): Interceptor {
  return (next) => (req) => {
    if (!req.header.has("authorization")) req.header.set("authorization", `Bearer ${token}`);
    return next(req);
  };
}

/** Sends the token with every call. */
export const bearControl: Interceptor = bearing(CONTROL_TOKEN);
