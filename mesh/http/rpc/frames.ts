/**
 * Frames: messages that were encoded once for many streams.
 *
 * Connect encodes and wraps each message of each stream by itself. A stream that
 * sends the same to hundreds of readers sends its first message through Connect,
 * which begins the response, and writes the others directly to the response.
 * Connect still ends the call. The envelope is the same in Connect, gRPC and
 * gRPC-Web.
 */
import type { Writable } from "node:stream";
import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import type { HttpResponse } from "./exchange.js";

const NOT_COMPRESSED = 0;

/** Takes the frames of one call. */
export class FrameSink {
  readonly #res: Writable;

  constructor(res: HttpResponse) {
    this.#res = res;
  }

  /** Sends one message. False when the client reads too slowly: wait for {@link drained}. */
  write(message: Uint8Array): boolean {
    if (this.#res.destroyed || this.#res.writableEnded) return false;
    return this.#res.write(encodeEnvelope(NOT_COMPRESSED, message));
  }

  /** Resolves when frames are taken again. @throws the signal's reason */
  drained(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.#res.off("drain", settle);
        signal.removeEventListener("abort", settle);
        if (signal.aborted) reject(signal.reason);
        else resolve();
      };
      if (signal.aborted) return settle();
      this.#res.once("drain", settle);
      signal.addEventListener("abort", settle, { once: true });
    });
  }
}

/** The sink of a call, in its context. */
export const frameSinkKey = createContextKey<FrameSink | undefined>(undefined, {
  description: "where frames of this call go",
});

/** The sink of a call with binary messages; undefined for a call whose messages must go through Connect. */
export function binarySink(context: HandlerContext): FrameSink | undefined {
  const type = context.requestHeader.get("content-type") ?? "";
  return /json/i.test(type) ? undefined : context.values.get(frameSinkKey);
}
