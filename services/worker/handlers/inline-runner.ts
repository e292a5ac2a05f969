/** Runs the handler on the worker's own event loop: the fastest way, for handlers that do not block it. */
import { Isolation } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { PoolError } from "../../../mesh/errors.js";
import { invoke } from "./handler.js";
import { HandlerLife, type LifeStage, stageTooLong, startLeft, teardownTooLong } from "./handler-life.js";
import type { ContextData, LoadedHandler } from "./loaded-handler.js";
import type { Call, Report, Runner } from "./runner.js";
import { readThrown, type Thrown } from "./thrown.js";
import { withinLimit } from "./time-limit.js";

export interface InlineRunnerOptions {
  readonly load: () => Promise<LoadedHandler>;
  readonly context: ContextData;
  /** How long loading, setup and teardown may take each, in milliseconds. */
  readonly loadTimeoutMs: number;
  /** How long a handler that is still loaded or set up is waited for at stop(), in milliseconds. */
  readonly graceMs: number;
  readonly report: Report;
  /** Hears what teardown threw. */
  readonly onTeardownFailed: (thrown: Thrown) => void;
  /** Hears that loading or setup was left at the end of the grace. */
  readonly onStartLeft: (error: PoolError) => void;
}

export class InlineRunner implements Runner {
  readonly isolation = Isolation.INLINE;
  readonly blocking = true;
  readonly takesMiddleware = true;
  readonly #options: InlineRunnerOptions;
  readonly #life: HandlerLife;
  #stage: LifeStage = "loading";
  #onStage: () => void = () => undefined;
  /** Ends start(), which still waits for the handler. */
  #leave: (error: PoolError) => void = () => undefined;
  #handler: LoadedHandler | undefined;

  constructor(options: InlineRunnerOptions) {
    this.#options = options;
    this.#life = new HandlerLife(options.load, options.context, (stage) => {
      this.#stage = stage;
      this.#onStage();
    });
  }

  async start(): Promise<void> {
    const { loadTimeoutMs } = this.#options;
    const tooLong = (): Error => stageTooLong(this.#stage, loadTimeoutMs);
    const left = new Promise<never>((_, reject) => {
      this.#leave = reject;
    });
    this.#handler = await withinLimit(loadTimeoutMs, tooLong, (again) => {
      this.#onStage = again;
      return Promise.race([this.#life.start(), left]);
    });
  }

  run(call: Call): void {
    invoke(this.#handler as LoadedHandler, call, this.#options.report);
  }

  resize(): void {
    // it has nothing for each slot
  }

  /** A handler that ignored its abort cannot be ended; its outcome is ignored. One that is still set up is left after the grace. */
  async stop(): Promise<void> {
    const { loadTimeoutMs, graceMs, onTeardownFailed, onStartLeft } = this.#options;
    const isReady = this.#handler !== undefined;
    const limitMs = isReady ? loadTimeoutMs : Math.min(graceMs, loadTimeoutMs);
    let isLate = false;
    const onLimit = (): Error => {
      isLate = true;
      return teardownTooLong(limitMs);
    };
    const thrown = await withinLimit(limitMs, onLimit, () => this.#life.stop()).catch(readThrown);
    if (thrown !== undefined && isReady) onTeardownFailed(thrown);
    if (isReady || !isLate) return;
    const error = startLeft(this.#stage, limitMs);
    onStartLeft(error);
    this.#leave(error);
  }
}
