/**
 * Runs the handler in threads or child processes, one job in each at a time.
 *
 * Decided here: which one runs a job, when one is started and when it is replaced.
 * They are started when first needed; the first is loaded before start() resolves.
 * One that cannot be loaded takes no job: its slot is not offered, and it is tried
 * again with a growing pause.
 */
import { Isolation } from "../../../../gen/poolmesh/v1/heartbeat_pb.js";
import { PoolError, safeMessage } from "../../../../mesh/errors.js";
import type { Call, Runner } from "../runner.js";
import { HandlerHost, type HostEvents, type HostOptions } from "./handler-host.js";

const IDLE_MS = 30_000;
/** The pause before the second try to load, in milliseconds; it doubles with each further try. */
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 10_000;

export interface IsolatedRunnerOptions extends HostOptions {
  readonly slots: number;
  /** One is replaced after this many jobs; undefined: never. */
  readonly recycleAfter: number | undefined;
  /** How long one that is idle stays, in milliseconds; one always does. Default 30,000. */
  readonly idleMs?: number;
  /** Hears that one could not be loaded, and when the next try is. */
  readonly onBroken: (error: PoolError, retryInMs: number) => void;
  /** Hears how many jobs can run at once now, when that changes; infinity: as many as there are slots. */
  readonly onUsable: (slots: number) => void;
}

export class IsolatedRunner implements Runner, HostEvents {
  readonly blocking = false;
  readonly #options: IsolatedRunnerOptions;
  readonly #hosts = new Set<HandlerHost>();
  readonly #loading = new Set<HandlerHost>();
  /** The one that was used last runs the next job. */
  readonly #idle: { host: HandlerHost; sinceMs: number }[] = [];
  /** Those that were told to stop and are not gone yet. */
  readonly #leaving = new Set<HandlerHost>();
  /** Jobs that wait for one to be loaded. */
  readonly #waiting: Call[] = [];
  readonly #idleMs: number;
  #slots: number;
  /** The last one that was tried cannot be loaded. */
  #broken = false;
  /** How many could not be loaded, or died before their first job, since one has done a job. */
  #failures = 0;
  #started: { resolve: () => void; reject: (error: PoolError) => void } | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: IsolatedRunnerOptions) {
    this.#options = options;
    this.#slots = options.slots;
    this.#idleMs = options.idleMs ?? IDLE_MS;
  }

  get isolation(): Isolation {
    return this.#options.kind.name === "thread" ? Isolation.THREAD : Isolation.PROCESS;
  }

  /** Loads the first. */
  async start(): Promise<void> {
    if (this.#stopped) return;
    await new Promise<void>((resolve, reject) => {
      this.#started = { resolve, reject };
      this.#spawn();
    });
  }

  run(call: Call): void {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle.host.run(call);
    this.#waiting.push(call);
    call.signal.addEventListener("abort", () => this.#forget(call), { once: true });
    if (!this.#broken && this.#loading.size < this.#waiting.length && this.#hosts.size < this.#slots) {
      this.#spawn();
    }
  }

  resize(slots: number): void {
    this.#slots = slots;
    while (this.#hosts.size > slots && this.#idle.length > 0)
      this.#retire((this.#idle.shift() as { host: HandlerHost }).host);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#idleTimer);
    for (const host of this.#hosts) this.#retire(host);
    await Promise.all([...this.#leaving].map((each) => each.stop()));
    this.#started?.reject(new PoolError("canceled", "stopped while starting"));
  }

  onLoaded(host: HandlerHost): void {
    this.#loading.delete(host);
    this.#started?.resolve();
    this.#started = undefined;
    const wasBroken = this.#broken;
    this.#broken = false;
    this.#serve(host);
    if (wasBroken) {
      this.#options.onUsable(Number.POSITIVE_INFINITY);
      this.#spawnForWaiting();
    }
  }

  onIdle(host: HandlerHost): void {
    const { recycleAfter } = this.#options;
    this.#failures = 0;
    // while none can be loaded, one that works is kept
    if (recycleAfter !== undefined && host.calls >= recycleAfter && !this.#broken) {
      this.#retire(host);
      this.#spawn();
    } else if (this.#hosts.size > this.#slots) this.#retire(host);
    else this.#serve(host);
  }

  onGone(host: HandlerHost, error: PoolError | undefined): void {
    this.#hosts.delete(host);
    this.#leaving.delete(host);
    const wasLoading = this.#loading.delete(host);
    const at = this.#idle.findIndex((each) => each.host === host);
    if (at >= 0) this.#idle.splice(at, 1);
    if (this.#stopped || error === undefined) return;
    if (this.#started !== undefined) {
      this.#started.reject(error);
      this.#started = undefined;
    } else if (wasLoading || host.calls === 0) this.#onBroken(error);
    else if (this.#broken) this.#offerWhatLives(error);
    else if (this.#hosts.size < this.#slots) this.#spawn();
  }

  onNotBegun(call: Call): void {
    this.run(call);
  }

  #spawn(): void {
    const host = new HandlerHost(this.#options, this);
    this.#hosts.add(host);
    this.#loading.add(host);
  }

  #spawnForWaiting(): void {
    const missing = Math.min(this.#waiting.length - this.#loading.size, this.#slots - this.#hosts.size);
    for (let i = 0; i < missing; i += 1) this.#spawn();
  }

  /** Gives it the job that has waited longest, or lets it wait for one. */
  #serve(host: HandlerHost): void {
    const next = this.#waiting.shift();
    if (next !== undefined) return host.run(next);
    this.#idle.push({ host, sinceMs: performance.now() });
    if (this.#idle.length > 1) this.#idleTimer ??= setTimeout(() => this.#endIdle(), this.#idleMs).unref();
  }

  #retire(host: HandlerHost): void {
    this.#hosts.delete(host);
    this.#loading.delete(host);
    this.#leaving.add(host);
    void host.stop();
  }

  /** Ends those that have been idle for too long; one always stays. */
  #endIdle(): void {
    this.#idleTimer = undefined;
    const untilMs = performance.now() - this.#idleMs;
    while (this.#idle.length > 1 && (this.#idle[0]?.sinceMs ?? 0) <= untilMs) {
      this.#retire((this.#idle.shift() as { host: HandlerHost }).host);
    }
    if (this.#idle.length > 1) this.#idleTimer = setTimeout(() => this.#endIdle(), this.#idleMs).unref();
  }

  /** It cannot be loaded: it is tried again after a pause. */
  #onBroken(error: PoolError): void {
    this.#broken = true;
    this.#failures += 1;
    const retryInMs = Math.min(FIRST_RETRY_MS * 2 ** (this.#failures - 1), LONGEST_RETRY_MS);
    this.#options.onBroken(error, retryInMs);
    this.#offerWhatLives(error);
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => {
      if (this.#loading.size === 0) this.#spawn();
    }, retryInMs);
  }

  /** Until one can be loaded, only those that live take jobs. */
  #offerWhatLives(error: PoolError): void {
    const live = this.#hosts.size - this.#loading.size;
    this.#options.onUsable(Math.min(live, this.#slots));
    if (live === 0 && this.#loading.size === 0) this.#failWaiting(error);
  }

  /** No thread or process is left that could run the waiting jobs: they fail with the reason. */
  #failWaiting(error: PoolError): void {
    const what = `the handler's ${this.#options.kind.name} could not be loaded: ${error.message}`;
    for (const call of this.#waiting.splice(0)) {
      const failure = { ok: false, error: new PoolError("job_failed", safeMessage(what)) } as const;
      this.#options.report(call, failure);
      call.end(failure);
    }
  }

  /** A job was aborted while it waited: it ends, and it has not begun. */
  #forget(call: Call): void {
    const at = this.#waiting.indexOf(call);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    const failure = { ok: false, error: call.signal.reason as PoolError } as const;
    this.#options.report(call, failure);
    call.end(failure);
  }
}
