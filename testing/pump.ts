/**
 * Runs a simulated world beside a test: what is due now happens by itself, and time goes on only when it is told to.
 *
 * Each event has a turn of the event loop of its own, so that promise chains of the parts and of the test go as far as
 * they can before the next one.
 */
import type { SteppedWorld } from "./sim/sim-world.js";

/** The real one, also after a test has put fake timers in its place. */
const nextTurn = globalThis.setImmediate;
/** Turns of the event loop without an event after which the parts are at rest. */
const QUIET_TURNS = 3;

export class Pump {
  readonly #world: SteppedWorld;
  #untilMs: number;
  #runs = false;
  #quietTurns = 0;
  #failure: unknown;
  #whenQuiet: { readonly resolve: () => void; readonly reject: (thrown: unknown) => void }[] = [];

  constructor(world: SteppedWorld) {
    this.#world = world;
    this.#untilMs = world.now();
    world.onScheduled = () => this.#wake();
  }

  /** Lets time go on; resolves when all that is due by then has happened. Rejects with what an event throws. */
  advance(ms: number): Promise<void> {
    this.#untilMs = Math.max(this.#untilMs, this.#world.now()) + ms;
    return this.settle();
  }

  /** Resolves when all that is due has happened. */
  settle(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#whenQuiet.push({ resolve, reject });
      this.#quietTurns = 0;
      this.#start();
    });
  }

  /** Nothing happens any more. */
  stop(): void {
    this.#world.onScheduled = undefined;
    this.#untilMs = Number.NEGATIVE_INFINITY;
  }

  /** An event was scheduled: perhaps it is due. */
  #wake(): void {
    if (!this.#runs && this.#world.isDue(this.#untilMs)) this.#start();
  }

  #start(): void {
    if (this.#runs) return;
    this.#runs = true;
    nextTurn(this.#turn);
  }

  readonly #turn = (): void => {
    try {
      this.#quietTurns = this.#world.step(this.#untilMs) ? 0 : this.#quietTurns + 1;
    } catch (thrown) {
      this.#failure = thrown;
      this.#quietTurns = QUIET_TURNS;
    }
    if (this.#quietTurns < QUIET_TURNS) {
      nextTurn(this.#turn);
      return;
    }
    this.#runs = false;
    this.#quietTurns = 0;
    const [waiting, failure] = [this.#whenQuiet, this.#failure];
    this.#whenQuiet = [];
    this.#failure = undefined;
    for (const { resolve, reject } of waiting) failure === undefined ? resolve() : reject(failure);
  };
}
