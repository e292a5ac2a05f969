/**
 * A simulated process: a clock of its own, timers, and an event loop that can be
 * stopped (SIGSTOP), blocked (a handler that computes) and killed (kill -9).
 *
 * Decided here: what a process does when it goes on. As in Node.js, the end of
 * the interrupted turn comes first, then the timers that are due, then the
 * sockets; so a timer that judges others fires before their messages are read.
 */
import type { Runtime, Timer } from "../../mesh/link/runtime.js";
import { seededRandom } from "./random.js";
import type { Scheduled, SimProcess, World } from "./world.js";

/** The wall clock of a process without an offset at the start of the world, milliseconds since the epoch. */
export const EPOCH_MS = Date.UTC(2026, 0, 1);
/** What a process's monotonic clock shows when it starts. */
const BORN_AT_MS = 250;
const HASH_PRIME = 0x01000193;

/** How a process is made. */
export interface SimProcessOptions {
  /** Unique in the world, such as "worker-1#2" for the second process of worker-1. */
  readonly name: string;
  readonly seed: number;
  /** How far its wall clock is ahead, milliseconds; default 0. */
  readonly clockOffsetMs?: number;
  /** How much faster its clocks run, parts per million; default 0. */
  readonly driftPpm?: number;
}

interface SimTimer {
  readonly work: () => void;
  /** Between two calls; undefined: once. */
  readonly everyMs: number | undefined;
  scheduled: Scheduled | undefined;
  canceled: boolean;
}

/** One process. */
export class SimulatedProcess implements SimProcess {
  readonly name: string;
  readonly runtime: Runtime;
  readonly #world: World;
  readonly #rate: number;
  readonly #bornAtMs: number;
  readonly #endOfTurn: (() => void)[] = [];
  readonly #dueTimers: SimTimer[] = [];
  readonly #readable: (() => void)[] = [];
  #wallOffsetMs: number;
  #alive = true;
  #stoppedAtMs: number | undefined;
  #busyUntilMs = 0;
  #pumping = false;
  #ids = 0;

  constructor(world: World, options: SimProcessOptions) {
    this.name = options.name;
    this.#world = world;
    this.#rate = 1 + (options.driftPpm ?? 0) / 1e6;
    this.#wallOffsetMs = options.clockOffsetMs ?? 0;
    this.#bornAtMs = world.now();
    this.runtime = this.#makeRuntime(options);
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Whether its event loop can run something now. */
  get runs(): boolean {
    return this.#alive && this.#stoppedAtMs === undefined && this.#world.now() >= this.#busyUntilMs;
  }

  /** True time at which a synchronous part that runs now will have ended. */
  get busyUntilMs(): number {
    return Math.max(this.#busyUntilMs, this.#world.now());
  }

  receive(work: () => void): void {
    if (!this.#alive) return;
    if (this.#isFree()) work();
    else this.#readable.push(work);
  }

  /** SIGSTOP. */
  stop(): void {
    if (this.#alive) this.#stoppedAtMs ??= this.#world.now();
  }

  /** SIGCONT. */
  goOn(): void {
    if (this.#stoppedAtMs === undefined) return;
    const stoppedMs = this.#world.now() - this.#stoppedAtMs;
    if (this.#busyUntilMs > this.#stoppedAtMs) this.#busyUntilMs += stoppedMs;
    this.#stoppedAtMs = undefined;
    this.#wakeWhenFree();
  }

  /** A synchronous part takes so long, true milliseconds: until then nothing else of this process runs. */
  block(ms: number): void {
    if (!this.#alive) return;
    this.#busyUntilMs = this.busyUntilMs + ms;
    this.#wakeWhenFree();
  }

  /** kill -9: nothing of it runs any more. */
  kill(): void {
    this.#alive = false;
    this.#endOfTurn.length = 0;
    this.#dueTimers.length = 0;
    this.#readable.length = 0;
  }

  /** Somebody sets its wall clock. */
  stepWallClock(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  #makeRuntime(options: SimProcessOptions): Runtime {
    const random = seededRandom(hash(options.name, options.seed));
    const idPrefix = options.name.replace(/[^A-Za-z0-9]/g, "");
    return {
      now: () => BORN_AT_MS + (this.busyUntilMs - this.#bornAtMs) * this.#rate,
      wallNow: () => EPOCH_MS + Math.floor(this.busyUntilMs * this.#rate + this.#wallOffsetMs),
      after: (ms, work) => this.#startTimer(ms, work),
      every: (ms, work) => this.#startTimer(ms, work, wholeMs(ms)),
      endOfTurn: (work) => this.#atEndOfTurn(work),
      cancel: (timer) => this.#cancel(timer as SimTimer | undefined),
      random,
      newId: () => {
        this.#ids += 1;
        return `${idPrefix}i${this.#ids.toString(36)}`;
      },
      newSecret: () => "",
    };
  }

  #startTimer(ms: number, work: () => void, everyMs?: number): Timer {
    const timer: SimTimer = { work, everyMs, scheduled: undefined, canceled: false };
    this.#arm(timer, wholeMs(ms));
    return timer;
  }

  #arm(timer: SimTimer, ms: number): void {
    timer.scheduled = this.#world.at(this.#world.now() + ms / this.#rate, () => this.#onDue(timer));
  }

  #cancel(timer: SimTimer | undefined): void {
    if (timer === undefined) return;
    timer.canceled = true;
    this.#world.cancel(timer.scheduled);
  }

  #onDue(timer: SimTimer): void {
    if (!this.#alive) return;
    if (this.#isFree()) this.#fire(timer);
    else this.#dueTimers.push(timer);
  }

  #fire(timer: SimTimer): void {
    if (timer.canceled) return;
    timer.work();
    if (timer.everyMs !== undefined && !timer.canceled && this.#alive) this.#arm(timer, timer.everyMs);
  }

  #atEndOfTurn(work: () => void): void {
    this.#world.at(this.#world.now(), () => {
      if (!this.#alive) return;
      if (this.#isFree()) work();
      else this.#endOfTurn.push(work);
    });
  }

  /** Whether something that happens now may run before all that waits. */
  #isFree(): boolean {
    return this.runs && !this.#pumping;
  }

  #wakeWhenFree(): void {
    this.#pumping = true;
    this.#world.at(this.#busyUntilMs, this.#pump);
  }

  /** Runs what waits, one event each, so that promise chains end between two of them. */
  readonly #pump = (): void => {
    if (!this.runs) return;
    const endOfTurn = this.#endOfTurn.shift();
    if (endOfTurn !== undefined) endOfTurn();
    else {
      const timer = this.#dueTimers.shift();
      if (timer !== undefined) this.#fire(timer);
      else {
        const read = this.#readable.shift();
        if (read === undefined) {
          this.#pumping = false;
          return;
        }
        read();
      }
    }
    this.#world.at(this.busyUntilMs, this.#pump);
  };
}

/** Node.js counts whole milliseconds, and at least one. */
function wholeMs(ms: number): number {
  return ms >= 1 ? Math.trunc(ms) : 1;
}

/** A seed for one process: others of its world have others. */
function hash(name: string, seed: number): number {
  let value = seed | 0;
  for (let i = 0; i < name.length; i += 1) value = Math.imul(value ^ name.charCodeAt(i), HASH_PRIME);
  return value ^ (value >>> 15);
}
