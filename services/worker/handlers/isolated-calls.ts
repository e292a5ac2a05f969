/**
 * The far side of isolation: runs calls that came from a worker in another
 * thread or process, and the shapes that cross between the two.
 */
import { isReason, PoolError } from "../../../mesh/errors.js";
import { invoke } from "./handler.js";
import { type LoadedHandler, loadHandlerFile } from "./handler-file.js";
import type { Call, CallData, Ending } from "./runner.js";

/** Which handler a thread or child runs. */
export interface HandlerSource {
  readonly file: string;
  /** The name of a codec that goes before the file's own. */
  readonly codec: string | undefined;
}

/** One job on its way over. */
export interface WireCall extends CallData {
  /** Unique among the calls of one worker. */
  readonly call: number;
  readonly timeLeftMs: number;
}

/** An error that can be cloned. */
export interface WireError {
  readonly reason: string;
  readonly message: string;
  readonly field: string | undefined;
}

/** An ending on its way back. */
export type WireEnding =
  | { readonly ok: true; readonly payload: Uint8Array }
  | { readonly ok: false; readonly error: WireError };

/** An ending, and how many progress messages went before it. */
export interface WireAnswer {
  readonly ending: WireEnding;
  readonly progressed: number;
}

export function toWireCall(call: Call, number: number): WireCall {
  return {
    call: number,
    id: call.id,
    pool: call.pool,
    worker: call.worker,
    attempt: call.attempt,
    bytes: call.bytes,
    traceparent: call.traceparent,
    tracestate: call.tracestate,
    timeLeftMs: call.deadlineAtMs - performance.now(),
  };
}

export function toWireError({ reason, message, field }: PoolError): WireError {
  return { reason, message, field };
}

export function fromWireError({ reason, message, field }: WireError): PoolError {
  return new PoolError(isReason(reason) ? reason : "job_failed", message, field === undefined ? {} : { field });
}

export function fromWireEnding(ending: WireEnding): Ending {
  return ending.ok ? ending : { ok: false, error: fromWireError(ending.error) };
}

/** How many aborts are remembered whose call has not come yet. */
const EARLY_ABORTS_LIMIT = 1_000;

/** The calls that run in this thread or child. */
export class IsolatedCalls {
  readonly #handler: Promise<LoadedHandler>;
  readonly #sendProgress: (call: number, payload: Uint8Array) => void;
  readonly #running = new Map<number, AbortController>();
  readonly #earlyAborts = new Map<number, PoolError>();

  constructor(source: HandlerSource, sendProgress: (call: number, payload: Uint8Array) => void) {
    this.#handler = loadHandlerFile(source.file, source.codec);
    this.#handler.catch(() => undefined);
    this.#sendProgress = sendProgress;
  }

  /** Undefined when the handler is loaded, else what is wrong with it. */
  async check(): Promise<WireError | undefined> {
    try {
      await this.#handler;
      return undefined;
    } catch (thrown) {
      return toWireError(thrown instanceof PoolError ? thrown : new PoolError("internal", "cannot load the handler"));
    }
  }

  async run(wire: WireCall): Promise<WireAnswer> {
    const { run, codecs } = await this.#handler;
    const controller = new AbortController();
    this.#running.set(wire.call, controller);
    const early = this.#earlyAborts.get(wire.call);
    if (early !== undefined) controller.abort(early);
    const call = new IsolatedCall(wire, controller.signal, this.#sendProgress);
    invoke(run, codecs, call);
    const ending = await call.ended;
    this.#running.delete(wire.call);
    return {
      ending: ending.ok ? ending : { ok: false, error: toWireError(ending.error) },
      progressed: call.progressed,
    };
  }

  abort(call: number, error: WireError): void {
    const running = this.#running.get(call);
    if (running !== undefined) running.abort(fromWireError(error));
    else if (this.#earlyAborts.size < EARLY_ABORTS_LIMIT) this.#earlyAborts.set(call, fromWireError(error));
  }
}

class IsolatedCall implements Call {
  readonly id: string;
  readonly pool: string;
  readonly worker: string;
  readonly attempt: number;
  readonly bytes: Uint8Array;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  readonly deadlineAtMs: number;
  readonly ended: Promise<Ending>;
  end!: (ending: Ending) => void;
  progressed = 0;
  readonly #number: number;
  readonly #send: (call: number, payload: Uint8Array) => void;

  constructor(
    wire: WireCall,
    readonly signal: AbortSignal,
    send: (call: number, payload: Uint8Array) => void,
  ) {
    this.id = wire.id;
    this.pool = wire.pool;
    this.worker = wire.worker;
    this.attempt = wire.attempt;
    this.bytes = wire.bytes;
    this.traceparent = wire.traceparent;
    this.tracestate = wire.tracestate;
    this.deadlineAtMs = performance.now() + wire.timeLeftMs;
    this.ended = new Promise((resolve) => {
      this.end = resolve;
    });
    this.#number = wire.call;
    this.#send = send;
  }

  progress(payload: Uint8Array): void {
    this.progressed += 1;
    this.#send(this.#number, payload);
  }
}
