/**
 * The guard around every RPC: who is let in, and how a call ends.
 *
 * Decided here: no new call once stopping, a bound on open streams, every error
 * translated by the catalogue, and that an aborted call ends whatever its
 * handler does. Not decided here: what a call answers.
 */
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { toConnectError } from "../error-edges.js";
import { PoolError, toPoolError } from "../errors.js";
import type { Logger } from "../log.js";
import { EndableStream, untilAborted } from "./endable.js";
import { asCallersMistake } from "./wire-mistakes.js";

/** Guards the calls of one server. */
export class CallGuard {
  readonly #stop = new AbortController();
  readonly #maxStreams: number;
  readonly #log: Logger;
  #streams = 0;
  #refusing = false;

  constructor(maxStreams: number, log: Logger) {
    this.#maxStreams = maxStreams;
    this.#log = log;
  }

  /** Aborts every open call when the server stops. */
  get shutdownSignal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Streams open now. */
  get streams(): number {
    return this.#streams;
  }

  get refusing(): boolean {
    return this.#refusing;
  }

  /** From now on new calls are `unavailable`; open ones go on. */
  refuse(): void {
    this.#refusing = true;
  }

  /** Ends open calls as `unavailable` too. */
  end(): void {
    this.#refusing = true;
    this.#stop.abort(stopError());
  }

  /** The first interceptor of every call. */
  readonly interceptor: Interceptor = (next) => async (req) => {
    const name = `${req.service.typeName}/${req.method.name}`;
    const translate = (error: unknown): ConnectError => this.#translate(error, req.signal, name);
    if (this.#refusing) throw stopError();
    if (req.stream) this.#admitStream(req.signal);
    try {
      const res = await untilAborted(next(req), req.signal);
      return res.stream ? { ...res, message: new EndableStream(res.message, req.signal, translate) } : res;
    } catch (error) {
      throw translate(error);
    }
  };

  #admitStream(signal: AbortSignal): void {
    if (signal.aborted) return;
    if (this.#streams >= this.#maxStreams) {
      throw new ConnectError(`${this.#maxStreams} streams are open, the limit`, Code.ResourceExhausted);
    }
    this.#streams += 1;
    // Connect aborts a call's signal at its end too, and when a client leaves while a write waits.
    signal.addEventListener("abort", () => (this.#streams -= 1), { once: true });
  }

  #translate(error: unknown, signal: AbortSignal, name: string): ConnectError {
    if (error instanceof ConnectError) return error === signal.reason ? abortError(error) : asCallersMistake(error);
    if (signal.aborted) {
      if (this.#stop.signal.aborted) return stopError();
      if (error === signal.reason) return new ConnectError("the client left", Code.Canceled);
    }
    const poolError = toPoolError(error);
    if (poolError.reason === "internal") {
      const cause = poolError.cause ?? poolError;
      this.#log.error({ call: name, error: cause instanceof Error ? cause.stack : String(cause) }, "call failed");
    }
    return toConnectError(poolError);
  }
}

/** Why a call was aborted, with our detail where the reason is Connect's own. */
function abortError(reason: ConnectError): ConnectError {
  if (reason.code !== Code.DeadlineExceeded) return reason;
  return toConnectError(new PoolError("deadline_exceeded", "the call's own deadline"));
}

function stopError(): ConnectError {
  return toConnectError(new PoolError("draining", "the server is stopping"));
}
