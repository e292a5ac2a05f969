/**
 * The guard around every RPC: which calls may begin, and how a call ends.
 *
 * Decided here: no new call begins once the server stops; open streams are bounded;
 * every error is translated by the catalogue; an aborted call ends, whatever its
 * handler does. Not decided here: what a call answers.
 */
import { setMaxListeners } from "node:events";
import { Code, ConnectError, type ContextValues, type Interceptor } from "@connectrpc/connect";
import { callerKey } from "../../auth/gate.js";
import { PoolError, toPoolError } from "../../errors.js";
import type { Logger } from "../../process/log.js";
import { toConnectError } from "../../wire/connect-errors.js";
import { EndableStream, untilAborted } from "../endable.js";
import { asCallersMistake } from "./error-detail.js";
import { peerKey, sourceOf } from "./peer.js";

/** How many streams may be open at once. */
export interface StreamLimits {
  readonly all: number;
  /** Callers that show nothing are told apart by their addresses (IPv6: by /64). */
  readonly ofOneCaller: number;
  /** Of all callers that show nothing together: the rest is for those who are known. */
  readonly ofStrangers: number;
}

/** Whose stream it is. */
interface Owner {
  readonly name: string;
  readonly isStranger: boolean;
}

/** Guards the calls of one server. */
export class CallGuard {
  readonly #stop = new AbortController();
  readonly #limits: StreamLimits;
  readonly #log: Logger;
  readonly #streamsOf = new Map<string, number>();
  #streams = 0;
  #ofStrangers = 0;
  #refusing = false;

  constructor(limits: StreamLimits, log: Logger) {
    this.#limits = limits;
    this.#log = log;
    // Every open call listens to it; Node would warn of a leak at the eleventh.
    setMaxListeners(0, this.#stop.signal);
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
    if (req.stream) this.#admitStream(req.signal, ownerOf(req.contextValues));
    try {
      const res = await untilAborted(next(req), req.signal);
      return res.stream ? { ...res, message: new EndableStream(res.message, req.signal, translate) } : res;
    } catch (error) {
      throw translate(error);
    }
  };

  #admitStream(signal: AbortSignal, owner: Owner): void {
    if (signal.aborted) return;
    const { all, ofOneCaller, ofStrangers } = this.#limits;
    const own = this.#streamsOf.get(owner.name) ?? 0;
    if (this.#streams >= all) throw full(`${all} streams are open`);
    if (own >= ofOneCaller) throw full(`${ofOneCaller} streams of this caller are open`);
    if (owner.isStranger && this.#ofStrangers >= ofStrangers) {
      throw full(`${ofStrangers} streams of callers without a token are open`);
    }
    this.#streams += 1;
    if (owner.isStranger) this.#ofStrangers += 1;
    this.#streamsOf.set(owner.name, own + 1);
    // Connect aborts a call's signal at its end too, and when a client leaves while a write waits.
    signal.addEventListener("abort", () => this.#streamEnded(owner), { once: true });
  }

  #streamEnded({ name, isStranger }: Owner): void {
    this.#streams -= 1;
    if (isStranger) this.#ofStrangers -= 1;
    const left = (this.#streamsOf.get(name) ?? 1) - 1;
    if (left > 0) this.#streamsOf.set(name, left);
    else this.#streamsOf.delete(name);
  }

  #translate(error: unknown, signal: AbortSignal, name: string): ConnectError {
    if (signal.aborted && isAbort(error, signal.reason)) {
      return this.#abortError(signal.reason, error instanceof PoolError && error.maybeExecuted);
    }
    if (error instanceof ConnectError) return asCallersMistake(error);
    const poolError = toPoolError(error);
    if (poolError.reason === "internal") {
      const cause = poolError.cause ?? poolError;
      this.#log.error({ call: name, error: cause instanceof Error ? cause.stack : String(cause) }, "call failed");
    }
    return toConnectError(poolError);
  }

  /** What an aborted call ends as, with our detail; what its handler knew of its effects stays known. */
  #abortError(reason: unknown, maybeExecuted: boolean): ConnectError {
    if (this.#stop.signal.aborted) return stopError(maybeExecuted);
    const code = reason instanceof ConnectError ? reason.code : Code.Canceled;
    if (code === Code.DeadlineExceeded) {
      return toConnectError(
        new PoolError("deadline_exceeded", "the call's own deadline has passed", { maybeExecuted }),
      );
    }
    return toConnectError(new PoolError("canceled", "the client ended the call", { maybeExecuted }));
  }
}

function ownerOf(values: ContextValues): Owner {
  const { proof, name } = values.get(callerKey);
  const isStranger = proof === "nothing";
  return { name: isStranger ? sourceOf(values.get(peerKey)) : name, isStranger };
}

function full(what: string): ConnectError {
  return new ConnectError(`${what}, the limit`, Code.ResourceExhausted);
}

/** Whether a handler ended because it was aborted, rather than with an answer of its own. */
function isAbort(error: unknown, reason: unknown): boolean {
  if (error === reason) return true;
  if (error instanceof PoolError) return error.reason === "canceled";
  return error instanceof ConnectError
    ? error.code === Code.Canceled
    : error instanceof Error && error.name === "AbortError";
}

function stopError(maybeExecuted = false): ConnectError {
  return toConnectError(new PoolError("draining", "the server is stopping", { maybeExecuted }));
}
