/**
 * The state of the wires between a process and its brokers.
 *
 * Decided here: how long bytes take, whether they are held, whether they are
 * swallowed. A link has two directions with a state of their own.
 */

/** How bytes travel in one direction. */
export interface DirectionOptions {
  /** Milliseconds from one end to the other; default 0.2. */
  delayMs?: number;
  /** At most so many milliseconds more, drawn anew for each write; default 0. The order of a connection's bytes holds. */
  jitterMs?: number;
  /** How many bytes pass in a millisecond; default without limit. What follows on the same connection waits. */
  bytesPerMs?: number;
}

/** How bytes travel between a process and a broker, with other values for one direction if wanted. */
export interface LinkOptions extends DirectionOptions {
  toBroker?: DirectionOptions;
  fromBroker?: DirectionOptions;
}

/** The directions of a link. */
export type Direction = "toBroker" | "fromBroker";

/** What a direction tells those whose bytes it carries. */
export interface Carried {
  /** Bytes move again. */
  released(): void;
}

const DEFAULT_DELAY_MS = 0.2;

/** One direction of a link; shared by all connections between these two. */
export class LinkDirection {
  delayMs = DEFAULT_DELAY_MS;
  jitterMs = 0;
  bytesPerMs = Number.POSITIVE_INFINITY;
  readonly carried = new Set<Carried>();
  #held = false;

  /** Whether bytes wait. */
  get held(): boolean {
    return this.#held;
  }

  /** Takes the values that are given and leaves the others. */
  set(options: DirectionOptions): void {
    this.delayMs = options.delayMs ?? this.delayMs;
    this.jitterMs = options.jitterMs ?? this.jitterMs;
    this.bytesPerMs = options.bytesPerMs ?? this.bytesPerMs;
  }

  hold(): void {
    this.#held = true;
  }

  release(): void {
    if (!this.#held) return;
    this.#held = false;
    for (const each of this.carried) each.released();
  }
}

/** Both directions between one process and one broker. */
export class Link {
  readonly toBroker = new LinkDirection();
  readonly fromBroker = new LinkDirection();
  /** Whether everything is swallowed. */
  cut = false;
  /** Whether each attempt to connect is refused. */
  down = false;

  /** Takes the values that are given and leaves the others. */
  set(options: LinkOptions): void {
    this.toBroker.set({ ...options, ...options.toBroker });
    this.fromBroker.set({ ...options, ...options.fromBroker });
  }
}
