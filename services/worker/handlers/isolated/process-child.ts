/**
 * What runs in each child process.
 *
 * A child's life is its worker's: it ignores the terminal's signals and exits
 * when the channel to its worker closes, whatever the handler still does. Every
 * message bears the token of the first, so that a handler may use `process.send`
 * as it likes.
 */
import { endsAtUncaught, FarSide } from "./far-side.js";
import type { FromHost, ToHost } from "./wire.js";

/** A message behind the token of its channel. */
export type Envelope<T> = readonly [token: string, message: T];

/** Serves one worker until the channel closes. */
export function serveWorker(): void {
  let token: string | undefined;
  const far = new FarSide((message) => {
    if (token === undefined || !process.connected) return;
    // the callback takes the error of a channel that closes now
    process.send?.([token, message] satisfies Envelope<FromHost>, undefined, undefined, () => undefined);
  });
  process.on("SIGINT", () => undefined);
  process.on("SIGTERM", () => undefined);
  process.on("uncaughtExceptionMonitor", (error) => far.uncaught(error, endsAtUncaught()));
  process.on("disconnect", () => process.exit(0));
  process.on("message", ([theirs, message]: Envelope<ToHost>) => {
    token ??= theirs;
    far.receive(message);
  });
}

if (process.send !== undefined && process.env.HANDLER_CHILD === "1") serveWorker();
