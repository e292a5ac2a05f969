/**
 * The events of a part of the mesh: a typed EventEmitter whose listeners cannot harm the part.
 *
 * It is made when a program first asks for it, so that a part that nobody listens to pays nothing.
 */
import { EventEmitter } from "node:events";
import { thrownStack, thrownText } from "../thrown.js";
import type { Logger } from "./log.js";

/** The methods that take the name of an event. */
type Named = "on" | "once" | "off" | "addListener" | "removeListener" | "prependListener" | "prependOnceListener";

/**
 * An EventEmitter of Node.js with the names and values of its events.
 *
 * @typeParam M name → what a listener gets
 */
export type TypedEvents<M extends object> = Omit<EventEmitter, Named | "emit"> & {
  [Method in Named]: <K extends keyof M & string>(name: K, listener: (event: M[K]) => unknown) => EventEmitter;
} & Pick<EventEmitter, "emit">;

/** The part's own side of its events. */
export class PartEvents<M extends object> extends EventEmitter {
  readonly #log: Logger;

  /** @param log hears what a listener throws, or rejects with */
  constructor(log: Logger) {
    super({ captureRejections: true });
    this.#log = log;
  }

  /** Calls the listeners of an event; what one throws is logged. */
  tell<K extends keyof M & string>(name: K, event: M[K]): void {
    try {
      this.emit(name, event);
    } catch (thrown) {
      this.#failed(thrown, name);
    }
  }

  /** What a listener's promise rejects with. */
  [Symbol.for("nodejs.rejection")](thrown: unknown, name: string): void {
    this.#failed(thrown, name);
  }

  #failed(thrown: unknown, event: string): void {
    this.#log.error({ event, error: thrownText(thrown), stack: thrownStack(thrown) }, "a listener failed");
  }
}
