/**
 * The events of a part of the mesh: a typed EventEmitter whose listeners cannot harm the part.
 *
 * It is made when a program first asks for it, so that a part that nobody listens to pays nothing.
 */
import { EventEmitter } from "node:events";
import type { Logger } from "./log.js";

/** Name → the arguments of a listener. */
export type EventsOf<M> = { [K in keyof M]: [M[K]] };

export class PartEvents<M extends object> extends EventEmitter<EventsOf<M>> {
  readonly #log: Logger;

  /** @param log hears what a listener throws, or rejects with */
  constructor(log: Logger) {
    super({ captureRejections: true });
    this.#log = log;
  }

  /** Calls the listeners of an event; what one throws is logged. */
  tell<K extends keyof M & string>(name: K, event: M[K]): void {
    try {
      (this as EventEmitter).emit(name, event);
    } catch (thrown) {
      this.#failed(thrown, name);
    }
  }

  /** What a listener's promise rejects with. */
  [Symbol.for("nodejs.rejection")](thrown: unknown, name: string): void {
    this.#failed(thrown, name);
  }

  #failed(thrown: unknown, event: string): void {
    const { message = String(thrown), stack } = thrown instanceof Error ? thrown : {};
    this.#log.error({ event, error: message, stack }, "a listener failed");
  }
}
