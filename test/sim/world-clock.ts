/**
 * A simulated world that runs in one go.
 *
 * Decided here: an event runs when all events before it have run, and when all
 * promise chains that those began have gone as far as they can.
 */
import { SteppedWorld } from "../../testing/sim/sim-world.js";
import { runMicrotasks } from "./clock/microtasks.js";

export type { TraceLine, WorldOptions } from "../../testing/sim/sim-world.js";

/** A world that stands still until run() is called. */
export class SimWorld extends SteppedWorld {
  /**
   * Runs all events up to a time, and stops there. To be called from a
   * macrotask (see microtasks.ts).
   *
   * @throws Error when time does not go on
   */
  run(untilMs: number): void {
    runMicrotasks();
    while (this.step(untilMs)) runMicrotasks();
  }
}
