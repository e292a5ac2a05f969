/** Warns, once for each stream and pool, that a stream captures the subjects of a pool's jobs. */
import type { Logger } from "../../../mesh/process/log.js";
import type { Pool } from "./pool.js";

export class StreamWarnings {
  readonly #log: Logger;
  /** Streams that were warned of, with their pools. */
  readonly #warned = new Set<string>();

  constructor(log: Logger) {
    this.#log = log;
  }

  check({ name, dispatcher: { stream } }: Pool): void {
    const key = `${stream} ${name}`;
    if (stream === undefined || this.#warned.has(key)) return;
    this.#warned.add(key);
    this.#log.warn({ stream, pool: name }, "a stream captures the job subjects of this pool; its answers are dropped");
  }
}
