/**
 * The far side of isolation: what a thread or child does with the worker's
 * messages. Loads the handler once, then runs one call at a time.
 */
import { PoolError } from "../../../../mesh/errors.js";
import { failure } from "../handler.js";
import { HandlerLife } from "../handler-life.js";
import type { LoadedHandler } from "../loaded-handler.js";
import { loadHandlerFile } from "../loading/handler-file.js";
import { readThrown } from "../thrown.js";
import { IsolatedCalls } from "./isolated-calls.js";
import { type FromHost, type HandlerSource, type ToHost, toWireEnding, toWireError, type WireError } from "./wire.js";

export class FarSide {
  readonly #send: (message: FromHost) => void;
  readonly #calls: IsolatedCalls;
  #life: HandlerLife | undefined;
  #handler: LoadedHandler | undefined;

  /** @param send to the worker; may throw when a message cannot be cloned */
  constructor(send: (message: FromHost) => void) {
    this.#send = send;
    this.#calls = new IsolatedCalls({
      onProgress: (call, payload) => send({ say: "progress", call, payload }),
      onEnded: (call, outcome) => {
        try {
          send({ say: "answer", call, outcome: toWireEnding(outcome) });
        } catch (thrown) {
          send({ say: "answer", call, outcome: toWireEnding(failure(thrown)) });
        }
      },
    });
  }

  /** Takes one message of the worker. */
  receive(message: ToHost): void {
    if (message.say === "load") void this.#load(message.source);
    else if (message.say === "run") this.#calls.run(this.#handler as LoadedHandler, message.wire);
    else if (message.say === "took") this.#calls.took(message.call, message.count);
    else if (message.say === "abort") this.#calls.abort(message.call, message.error);
    else void this.#stop();
  }

  /**
   * An exception that nobody caught: the last words of this thread or child.
   *
   * @param isLast whether it ends now, before it hears another word
   */
  uncaught(thrown: unknown, isLast: boolean): void {
    this.#send({ say: "uncaught", thrown: readThrown(thrown), idle: isLast && !this.#calls.isRunning });
  }

  async #load({ file, codec, context }: HandlerSource): Promise<void> {
    const load = (): Promise<LoadedHandler> => loadHandlerFile(file, codec);
    this.#life = new HandlerLife(load, context, (stage) => this.#send({ say: "stage", stage }));
    let error: WireError | undefined;
    try {
      this.#handler = await this.#life.start();
    } catch (thrown) {
      error = toWireError(asStartError(thrown));
    }
    this.#send({ say: "loaded", error });
  }

  async #stop(): Promise<void> {
    this.#send({ say: "stopping" });
    this.#send({ say: "stopped", thrown: await this.#life?.stop() });
  }
}

function asStartError(thrown: unknown): PoolError {
  if (thrown instanceof PoolError) return thrown;
  return new PoolError("invalid_argument", `handler: ${readThrown(thrown).message}`, { field: "handler" });
}

/** Whether an exception that nobody catches ends this thread or process at once: the handler may have a listener that does not let it. */
export function endsAtUncaught(): boolean {
  return process.listenerCount("uncaughtException") === 0 && !process.hasUncaughtExceptionCaptureCallback();
}
