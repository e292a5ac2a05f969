/** Streams whose callers are known: one ends soon after its caller has lost the right to it. */
import type { PoolError } from "../errors.js";
import { EndableStream } from "../http/endable.js";
import type { Caller } from "./caller.js";
import { unauthenticated } from "./refusals.js";

/** How often rights are looked at again, in milliseconds. */
const LOOK_INTERVAL_MS = 1_000;

interface OpenStream {
  readonly caller: Caller;
  readonly isAllowed: () => boolean;
  readonly onRevoked: (error: PoolError) => void;
  readonly revoke: AbortController;
}

/** Watches over open streams. */
export class OpenStreams {
  readonly #open = new Set<OpenStream>();
  readonly #intervalMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(intervalMs: number = LOOK_INTERVAL_MS) {
    this.#intervalMs = intervalMs;
  }

  /**
   * The same messages, until `isAllowed` says no.
   *
   * @param caller whose stream it is: what it has shown is checked again before `isAllowed` is asked
   * @param signal the call's own; it aborts when the call ends
   * @param onRevoked hears with what error the stream ends, when its caller has lost the right
   */
  guard<T>(
    messages: AsyncIterable<T>,
    caller: Caller,
    isAllowed: () => boolean,
    signal: AbortSignal,
    onRevoked: (error: PoolError) => void,
  ): AsyncIterable<T> {
    const stream = { caller, isAllowed, onRevoked, revoke: new AbortController() };
    this.#open.add(stream);
    this.#timer ??= setInterval(() => this.#look(), this.#intervalMs);
    if (signal.aborted) this.#leave(stream);
    else signal.addEventListener("abort", () => this.#leave(stream), { once: true });
    return new EndableStream(messages, stream.revoke.signal, (error) => error as Error);
  }

  #look(): void {
    for (const stream of this.#open) {
      const judged = stream.caller.judge();
      if (judged === undefined) this.#endUnlessAllowed(stream);
      else void judged.then(() => this.#endUnlessAllowed(stream));
    }
  }

  #endUnlessAllowed(stream: OpenStream): void {
    if (!this.#open.has(stream) || stream.isAllowed()) return;
    this.#leave(stream);
    const error = unauthenticated("the caller has lost the right to this stream: its token or policy changed");
    stream.onRevoked(error);
    stream.revoke.abort(error);
  }

  #leave(stream: OpenStream): void {
    this.#open.delete(stream);
    if (this.#open.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
