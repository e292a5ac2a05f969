/**
 * What runs in each child process.
 *
 * A child's life is its worker's: it ignores the terminal's signals and exits
 * when the channel to its worker closes, whatever the handler still does. Every
 * message bears the token of the first, so that a handler may use `process.send`
 * as it likes.
 */
import { FarSide } from "./far-side.js";
import type { FromHost, ToHost } from "./wire.js";

/** A message with the token of its channel. */
export interface Envelope<T> {
  readonly token: string;
  readonly message: T;
}

/** Serves one worker until the channel closes. */
export function serveWorker(): void {
  let token: string | undefined;
  const far = new FarSide((message) => {
    if (token !== undefined) process.send?.({ token, message } satisfies Envelope<FromHost>);
  });
  process.on("SIGINT", () => undefined);
  process.on("SIGTERM", () => undefined);
  process.on("uncaughtExceptionMonitor", (error) => far.uncaught(error));
  process.on("disconnect", () => process.exit(0));
  process.on("message", (envelope: Envelope<ToHost>) => {
    token ??= envelope.token;
    far.receive(envelope.message);
  });
}

if (process.send !== undefined && process.env.HANDLER_CHILD === "1") serveWorker();
