/** Runs the handler on the worker's own event loop: the fastest way, for handlers that do not block it. */
import { Isolation } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { invoke } from "./handler.js";
import type { LoadedHandler } from "./handler-exports.js";
import { type ContextData, HandlerLife, type LifeStage, stageTooLong, teardownTooLong } from "./handler-life.js";
import type { Call, Report, Runner } from "./runner.js";
import { readThrown, type Thrown } from "./thrown.js";
import { withinLimit } from "./time-limit.js";

export interface InlineRunnerOptions {
  readonly load: () => Promise<LoadedHandler>;
  readonly context: ContextData;
  /** How long loading, setup and teardown may take each, in milliseconds. */
  readonly loadTimeoutMs: number;
  readonly report: Report;
  /** Hears what teardown threw. */
  readonly onTeardownFailed: (thrown: Thrown) => void;
}

export class InlineRunner implements Runner {
  readonly isolation = Isolation.INLINE;
  readonly blocking = true;
  readonly takesMiddleware = true;
  readonly #options: InlineRunnerOptions;
  readonly #life: HandlerLife;
  #stage: LifeStage = "loading";
  #onStage: () => void = () => undefined;
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
    this.#handler = await withinLimit(loadTimeoutMs, tooLong, (again) => {
      this.#onStage = again;
      return this.#life.start();
    });
  }

  run(call: Call): void {
    const { run, codecs } = this.#handler as LoadedHandler;
    invoke(run, codecs, call, this.#options.report);
  }

  resize(): void {
    // it has nothing for each slot
  }

  /** A handler that ignored its abort cannot be ended; its outcome is ignored. */
  async stop(): Promise<void> {
    const { loadTimeoutMs, onTeardownFailed } = this.#options;
    const thrown = await withinLimit(
      loadTimeoutMs,
      () => teardownTooLong(loadTimeoutMs),
      () => this.#life.stop(),
    ).catch(readThrown);
    // while it is still loaded or set up there was no teardown, and the start says what is late
    if (thrown !== undefined && this.#handler !== undefined) onTeardownFailed(thrown);
  }
}
