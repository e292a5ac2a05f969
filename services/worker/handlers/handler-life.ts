/**
 * The life of a loaded handler: loading, `setup(context)`, jobs, `teardown()`.
 *
 * States: new → loading → setting up → ready → ended. The same for every
 * isolation: inline it is in the worker, else in each thread or child process.
 * Not decided here: how long each step may take (inline-runner.ts, isolated/handler-host.ts).
 */
import { PoolError } from "../../../mesh/errors.js";
import type { ContextData, LoadedHandler } from "./loaded-handler.js";
import { tellSyntaxPlace } from "./loading/syntax-place.js";
import { placeOf, readThrown, type Thrown } from "./thrown.js";

/** What a handler is busy with before its first job. */
export type LifeStage = "loading" | "setup";

export class HandlerLife {
  readonly #load: () => Promise<LoadedHandler>;
  readonly #context: ContextData;
  readonly #onStage: (stage: LifeStage) => void;
  readonly #stopped = new AbortController();
  #settingUp: Promise<void> | undefined;
  #handler: LoadedHandler | undefined;
  #isSetUp = false;

  /** @param onStage called when a stage begins */
  constructor(load: () => Promise<LoadedHandler>, context: ContextData, onStage: (stage: LifeStage) => void) {
    this.#load = load;
    this.#context = context;
    this.#onStage = onStage;
  }

  /**
   * Loads the handler and awaits its setup. Called once.
   *
   * @throws PoolError `invalid_argument`, field "handler" or "codec"
   */
  async start(): Promise<LoadedHandler> {
    this.#onStage("loading");
    const handler = await this.#load();
    if (this.#stopped.signal.aborted) throw new PoolError("canceled", "stopped while the handler was loaded");
    this.#mustBeOf(this.#context.pool, handler);
    this.#handler = handler;
    if (handler.setup !== undefined) {
      this.#onStage("setup");
      this.#settingUp = this.#setUp(handler.setup, handler.file);
      await this.#settingUp;
    }
    this.#isSetUp = true;
    return handler;
  }

  /** Fires the context's signal and awaits teardown, if setup had ended. Says what teardown threw; never rejects. */
  async stop(): Promise<Thrown | undefined> {
    if (this.#stopped.signal.aborted) return undefined;
    this.#stopped.abort();
    await this.#settingUp?.catch(() => undefined);
    if (!this.#isSetUp) return undefined;
    try {
      await this.#handler?.teardown?.();
      return undefined;
    } catch (thrown) {
      await tellSyntaxPlace(this.#handler?.file, thrown);
      return readThrown(thrown);
    }
  }

  /** A file that exports a typed pool serves no other one. */
  #mustBeOf(pool: string, { definition }: LoadedHandler): void {
    if (definition === undefined || definition.name === pool) return;
    const message = `handler: it is for the pool ${definition.name}, not for ${pool}`;
    throw new PoolError("invalid_argument", message, { field: "handler" });
  }

  async #setUp(setup: NonNullable<LoadedHandler["setup"]>, file: string | undefined): Promise<void> {
    try {
      await setup({ ...this.#context, signal: this.#stopped.signal });
    } catch (thrown) {
      await tellSyntaxPlace(file, thrown);
      const { message, stack } = readThrown(thrown);
      throw new PoolError("invalid_argument", `handler: setup() failed: ${message}${placeOf(message, stack)}`, {
        field: "handler",
        cause: thrown,
      });
    }
  }
}

/** The error of a start whose stage does not end. */
export function stageTooLong(stage: LifeStage, limitMs: number): PoolError {
  const what =
    stage === "setup"
      ? "setup() does not end"
      : "the file does not load: an await, a loop or a synchronous wait at its top level does not end, or this machine is too busy for the limit";
  return new PoolError("invalid_argument", `handler: ${what} (limit ${limitMs} ms, --load-timeout-ms)`, {
    field: "handler",
  });
}

/**
 * The error of a start that the handler ends with its process or thread.
 *
 * @param what such as "the process exited with code 0"
 * @param uncaught the error that nobody caught, when one ended it
 */
export function endedWhileLoading(stage: LifeStage | "start", what: string, uncaught?: Thrown): PoolError {
  const when =
    stage === "loading"
      ? "while its file was loaded"
      : stage === "setup"
        ? "in setup()"
        : "while it was loaded or in setup()";
  let why = /exited with code/.test(what) ? ": does it call exit()?" : "";
  if (uncaught !== undefined) {
    const { message, stack } = uncaught;
    why = `, by an error that nobody caught: ${message}${placeOf(message, stack)}`;
  }
  return new PoolError("invalid_argument", `handler: ${what} ${when}${why}`, { field: "handler" });
}

/** Why a handler that was still loaded or set up at the end of the grace was left. */
export function startLeft(stage: LifeStage, graceMs: number): PoolError {
  const what = stage === "setup" ? "setup() still ran" : "its file was still loaded";
  const message = `handler: ${what} when the worker stopped, and was left after ${graceMs} ms (--grace-ms); end it when the signal of its context fires`;
  return new PoolError("canceled", message, { field: "handler" });
}

/** The error of a teardown that does not end. */
export function teardownTooLong(limitMs: number): Error {
  return new Error(`teardown() does not end (limit ${limitMs} ms, --load-timeout-ms)`);
}
