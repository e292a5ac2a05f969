/** One simulated process of a TestMesh: its clock, its connection, and what a test can do to both. */
import { Bus } from "../mesh/link/bus.js";
import type { SimNetwork } from "./nats/network.js";
import { SimulatedProcess } from "./sim/sim-process.js";
import type { World } from "./sim/world.js";

/** The broker of every TestMesh. */
export const BROKER = "broker";

/** What a test can do to a part of its mesh. */
export class TestProcess {
  readonly #network: SimNetwork;
  readonly #process: SimulatedProcess;

  constructor(world: World, network: SimNetwork, name: string) {
    this.#network = network;
    this.#process = new SimulatedProcess(world, { name, seed: 1 });
    network.setLink(this.#process, { delayMs: 0 });
  }

  /** Whether it was not killed. */
  get alive(): boolean {
    return this.#process.alive;
  }

  /** A connection of this process, once there is one. */
  async connect(): Promise<Bus> {
    const connection = await this.#network.connect(this.#process, { servers: [BROKER] });
    return new Bus(connection, {}, this.#process.runtime);
  }

  /** Ends the process at once, as `kill -9`: it says nothing, and its connection ends. */
  kill(): void {
    this.#process.kill();
    this.#network.killProcess(this.#process);
  }

  /** Cuts its link to the broker: all that is sent is lost, and nobody is told. */
  cut(): void {
    this.#network.cutLink(this.#process);
  }

  /** Ends cut(): it connects again when it has noticed. */
  heal(): void {
    this.#network.healLink(this.#process);
  }

  /** Stops it as SIGSTOP does: nothing of it runs, and what is sent to it waits. Its handlers are real: they go on. */
  suspend(): void {
    this.#process.stop();
  }

  /** Ends suspend(). */
  goOn(): void {
    this.#process.goOn();
  }
}
