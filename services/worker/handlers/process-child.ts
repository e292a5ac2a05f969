/**
 * What runs in each child process: loads the handler once and runs one call at a time.
 *
 * A child's life is its worker's: it ignores the terminal's signals and exits
 * when the channel to its worker closes, whatever the handler still does.
 */
import { type HandlerSource, IsolatedCalls, type WireAnswer, type WireCall, type WireError } from "./isolated-calls.js";

/** From the worker. */
export type ToChild =
  | { readonly say: "load"; readonly source: HandlerSource }
  | { readonly say: "run"; readonly wire: WireCall }
  | { readonly say: "abort"; readonly call: number; readonly error: WireError };

/** To the worker. */
export type FromChild =
  | { readonly say: "loaded"; readonly error: WireError | undefined }
  | { readonly say: "progress"; readonly payload: Uint8Array }
  | { readonly say: "answer"; readonly call: number; readonly answer: WireAnswer };

/** Serves one worker until the channel closes. */
export function serveWorker(): void {
  let calls: IsolatedCalls | undefined;
  const send = (message: FromChild): void => void process.send?.(message);
  process.on("SIGINT", () => undefined);
  process.on("SIGTERM", () => undefined);
  process.on("disconnect", () => process.exit(0));
  process.on("message", (message: ToChild) => {
    if (message.say === "load") {
      calls = new IsolatedCalls(message.source, (_call, payload) => send({ say: "progress", payload }));
      void calls.check().then((error) => send({ say: "loaded", error }));
    } else if (message.say === "run") {
      const { call } = message.wire;
      void calls?.run(message.wire).then((answer) => send({ say: "answer", call, answer }));
    } else calls?.abort(message.call, message.error);
  });
}

if (process.send !== undefined && process.env.HANDLER_CHILD === "1") serveWorker();
