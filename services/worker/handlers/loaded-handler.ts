/** A handler that was loaded, and what it is told before its first job. */
import type { PoolDefinition } from "../../../mesh/job/pool-definition.js";
import type { IsolationName } from "../../../mesh/process/options.js";
import type { Runnable } from "./handler.js";

/** What `setup(context)` is told. */
export interface HandlerContext {
  readonly pool: string;
  readonly worker: string;
  /** The worker's slots when it started. In a thread or process the handler runs one job at a time all the same. */
  readonly slots: number;
  readonly isolation: IsolationName;
  /** Fires when the worker stops, just before `teardown()`, and also while `setup()` still runs. */
  readonly signal: AbortSignal;
}

/** A context without its signal: what crosses to a thread or process. */
export type ContextData = Omit<HandlerContext, "signal">;

/** A handler as a file exports it, ready to be called. */
export interface LoadedHandler extends Runnable {
  /** Called once, before the first job. */
  readonly setup?: ((context: HandlerContext) => unknown) | undefined;
  /** Called once, after the last job. */
  readonly teardown?: (() => unknown) | undefined;
  /** Of a typed pool. */
  readonly definition?: PoolDefinition | undefined;
}
