/**
 * One thread or child process that runs one job at a time.
 *
 * States: loading → idle ⇄ running; any → stopping → gone. Decided here: how long
 * each step may take, and that a job whose abort is ignored ends its host. Not
 * decided here: which host runs a job, and what follows a host (isolated-runner.ts).
 */
import { PoolError, safeMessage } from "../../../../mesh/errors.js";
import { endedWhileLoading, type LifeStage, stageTooLong, startLeft, teardownTooLong } from "../handler-life.js";
import type { Call, HandlerOutcome, Report } from "../runner.js";
import { readThrown, type Thrown } from "../thrown.js";
import type { Channel, ChannelKind } from "./channel.js";
import { type FromHost, fromWireEnding, fromWireError, type HandlerSource, toWireCall, toWireError } from "./wire.js";

/** How long a thread or child may take until it runs our code, in milliseconds. */
const BOOT_LIMIT_MS = 30_000;
/** How long one that runs no job may take to answer that it stops, and to leave after that, in milliseconds. */
const LEAVE_MS = 1_000;
/** The same for one that runs a job, which may block it, in milliseconds. */
const LEAVE_BUSY_MS = 500;

export interface HostOptions {
  readonly kind: ChannelKind;
  readonly source: HandlerSource;
  readonly abortGraceMs: number;
  /** How long loading, setup and teardown may take each, in milliseconds. */
  readonly loadTimeoutMs: number;
  /** How long one that is still loaded or set up is waited for at stop(), in milliseconds. */
  readonly graceMs: number;
  readonly report: Report;
  readonly onTeardownFailed: (thrown: Thrown) => void;
  /** Hears that loading or setup was left at the end of the grace. */
  readonly onStartLeft: (error: PoolError) => void;
  /** Hears that one ended by itself while it ran no job. @param what such as "the handler's thread exited with code 1: late" */
  readonly onDiedIdle: (what: string, thrown: Thrown | undefined) => void;
}

/** Who owns hosts: hears of every transition, once. */
export interface HostEvents {
  /** It can run its first job. */
  onLoaded(host: HandlerHost): void;
  /** Its job has ended, and it can run another. */
  onIdle(host: HandlerHost): void;
  /** @param error why it went; undefined when it was asked to stop */
  onGone(host: HandlerHost, error: PoolError | undefined): void;
  /** It went before its job began: another may run it. Called after onGone. */
  onNotBegun(call: Call): void;
}

interface HostCall {
  readonly number: number;
  readonly call: Call;
  readonly onAbort: () => void;
  /** Progress values that came in this turn of the event loop. */
  taken: number;
}

export class HandlerHost {
  readonly #options: HostOptions;
  readonly #events: HostEvents;
  readonly #channel: Channel;
  readonly #gone: Promise<void>;
  #onGone!: () => void;
  #state: "loading" | "idle" | "running" | "stopping" | "gone" = "loading";
  #current: HostCall | undefined;
  #timer: NodeJS.Timeout | undefined;
  #killTimer: NodeJS.Timeout | undefined;
  #stage: LifeStage = "loading";
  /** It has said that it loads the file. */
  #hasBegun = false;
  /** When it was told to stop: whether it was set up. */
  #wasReady = false;
  /** It was told to stop, and has to say that it is torn down: that it has begun may get lost when it ends meanwhile. */
  #owesTeardown = false;
  #calls = 0;
  /** Why it did not load, or what nobody caught. */
  #loadError: PoolError | undefined;
  #uncaught: Thrown | undefined;
  /** What nobody caught ended it while it ran no job. */
  #diedIdle = false;

  constructor(options: HostOptions, events: HostEvents) {
    this.#options = options;
    this.#events = events;
    this.#gone = new Promise((resolve) => {
      this.#onGone = resolve;
    });
    this.#channel = options.kind.open({
      onMessage: (message) => this.#onMessage(message),
      onGone: (how) => this.#onExit(how),
    });
    this.#limit(BOOT_LIMIT_MS, () => this.#refuse(this.#notStarted()));
    this.#channel.send({ say: "load", source: options.source });
  }

  /** How many jobs it has run or runs. */
  get calls(): number {
    return this.#calls;
  }

  /** Runs one job; it must be idle. */
  run(call: Call): void {
    this.#calls += 1;
    const number = this.#calls;
    const onAbort = (): void => this.#abort(number, call.signal.reason as PoolError);
    this.#state = "running";
    this.#current = { number, call, onAbort, taken: 0 };
    call.signal.addEventListener("abort", onAbort, { once: true });
    this.#channel.send({ say: "run", wire: toWireCall(call, number) });
    if (call.signal.aborted) onAbort();
  }

  /** Awaits teardown, then ends it; by force when it does not answer. Resolves when it is gone. */
  async stop(): Promise<void> {
    if (this.#state === "gone" || this.#state === "stopping") return this.#gone;
    this.#wasReady = this.#state !== "loading";
    this.#owesTeardown = this.#wasReady;
    this.#state = "stopping";
    this.#limit(this.#current === undefined ? LEAVE_MS : LEAVE_BUSY_MS, () => this.#endByForce());
    this.#channel.send({ say: "stop" });
    return this.#gone;
  }

  #onMessage(message: FromHost): void {
    switch (message.say) {
      case "stage":
        this.#onStage(message.stage);
        break;
      case "loaded":
        this.#onLoaded(message.error === undefined ? undefined : fromWireError(message.error));
        break;
      case "progress":
        this.#takeProgress(message.call, message.payload);
        break;
      case "answer":
        if (message.call === this.#current?.number) this.#finish(fromWireEnding(message.outcome));
        break;
      case "uncaught":
        this.#uncaught = message.thrown;
        this.#diedIdle ||= message.idle === true;
        break;
      default:
        this.#onStopMessage(message);
    }
  }

  /** Says once a turn of the event loop how many it has taken, so that a handler that reports without end is slowed down. */
  #takeProgress(number: number, payload: Uint8Array): void {
    const current = this.#current;
    if (number !== current?.number) return;
    current.call.progress(payload);
    current.taken += 1;
    if (current.taken > 1) return;
    setImmediate(() => {
      this.#channel.send({ say: "took", call: number, count: current.taken });
      current.taken = 0;
    });
  }

  #onStage(stage: LifeStage): void {
    if (this.#state !== "loading") return;
    this.#stage = stage;
    this.#hasBegun = true;
    const { loadTimeoutMs } = this.#options;
    this.#limit(loadTimeoutMs, () => this.#refuse(stageTooLong(this.#stage, loadTimeoutMs)));
  }

  #onLoaded(error: PoolError | undefined): void {
    if (this.#state !== "loading") return;
    if (error !== undefined) return this.#refuse(error);
    clearTimeout(this.#timer);
    this.#state = "idle";
    this.#events.onLoaded(this);
  }

  #notStarted(): PoolError {
    return new PoolError(
      "internal",
      `the handler's ${this.#options.kind.name} did not start within ${BOOT_LIMIT_MS} ms`,
    );
  }

  /** Nothing but the handler itself ends it with a code before its first job, or in any way once its file is read. */
  #endedWhileLoading(how: string): PoolError | undefined {
    const byCode = this.#uncaught === undefined && how.startsWith("exited with code ");
    if (!byCode && !this.#hasBegun) return undefined;
    return endedWhileLoading(this.#stage, `its ${this.#options.kind.name} ${how}`, this.#uncaught);
  }

  /** It cannot run a job. */
  #refuse(error: PoolError): void {
    this.#loadError ??= error;
    this.#channel.kill();
  }

  #onStopMessage(message: FromHost & { readonly say: "stopping" | "stopped" }): void {
    if (this.#state !== "stopping") return;
    const { onTeardownFailed } = this.#options;
    if (message.say === "stopping") return this.#limitTeardown();
    this.#owesTeardown = false;
    if (message.thrown !== undefined) onTeardownFailed(message.thrown);
    this.#limit(LEAVE_MS, () => this.#channel.kill());
    this.#channel.release();
  }

  /** One that is still set up has the grace, and nothing to tear down. */
  #limitTeardown(): void {
    const { loadTimeoutMs, graceMs, onTeardownFailed, onStartLeft } = this.#options;
    const limitMs = this.#wasReady ? loadTimeoutMs : Math.min(graceMs, loadTimeoutMs);
    this.#limit(limitMs, () => {
      if (this.#wasReady) onTeardownFailed(readThrown(teardownTooLong(limitMs)));
      else onStartLeft(startLeft(this.#stage, limitMs));
      this.#endByForce();
    });
  }

  #endByForce(): void {
    this.#owesTeardown = false;
    this.#channel.kill();
  }

  #abort(call: number, error: PoolError): void {
    this.#channel.send({ say: "abort", call, error: toWireError(error) });
    this.#killTimer = setTimeout(() => this.#channel.kill(), this.#options.abortGraceMs);
  }

  #finish(outcome: HandlerOutcome): void {
    const current = this.#current;
    if (current === undefined) return;
    clearTimeout(this.#killTimer);
    current.call.signal.removeEventListener("abort", current.onAbort);
    this.#current = undefined;
    if (!outcome.ok) this.#options.report(current.call, outcome);
    // before the call ends, so that the next job finds it idle
    if (this.#state === "running") {
      this.#state = "idle";
      this.#events.onIdle(this);
    }
    current.call.end(outcome);
  }

  /** What an earlier job left behind ended it just when the next one was on its way. */
  #giveBack({ call, onAbort }: HostCall): void {
    call.signal.removeEventListener("abort", onAbort);
    this.#current = undefined;
    this.#events.onNotBegun(call);
  }

  #onExit(how: string): void {
    clearTimeout(this.#timer);
    const asked = this.#state === "stopping";
    if (this.#state === "loading") this.#loadError ??= this.#endedWhileLoading(how);
    const said = this.#uncaught === undefined ? "" : `: ${safeMessage(this.#uncaught.message)}`;
    const message = `the handler's ${this.#options.kind.name} ${how}${said}`;
    const error = new PoolError("job_failed", message, { maybeExecuted: true });
    const isIdle = this.#state === "idle" || (this.#state === "running" && this.#diedIdle);
    if (isIdle) this.#options.onDiedIdle(message, this.#uncaught);
    if (isIdle && this.#current !== undefined) this.#calls -= 1;
    if (this.#owesTeardown && this.#current === undefined)
      this.#options.onTeardownFailed(this.#uncaught ?? readThrown(new Error(`${message} in teardown()`)));
    this.#state = "gone";
    this.#events.onGone(this, asked ? undefined : (this.#loadError ?? error));
    if (isIdle && this.#current?.call.signal.aborted === false) this.#giveBack(this.#current);
    else this.#finish({ ok: false, error, thrown: this.#uncaught });
    this.#onGone();
  }

  #limit(limitMs: number, onLimit: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(onLimit, limitMs);
  }
}
