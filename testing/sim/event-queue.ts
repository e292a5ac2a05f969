/** Events in the order of their time; those of one time in the order in which they came. A binary heap. */
import type { Scheduled } from "./world.js";

/** An event that waits. */
export interface QueuedEvent extends Scheduled {
  readonly order: number;
  /** Undefined once it has run or was canceled. */
  work: (() => void) | undefined;
}

/** The queue. Canceled events stay in it until their time comes. */
export class EventQueue {
  readonly #heap: QueuedEvent[] = [];
  #order = 0;

  /** How many wait, canceled ones included. */
  get size(): number {
    return this.#heap.length;
  }

  /** Adds an event. */
  add(atMs: number, work: () => void): QueuedEvent {
    this.#order += 1;
    const event: QueuedEvent = { atMs, order: this.#order, work };
    const heap = this.#heap;
    let place = heap.length;
    heap.push(event);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = heap[parent] as QueuedEvent;
      if (above.atMs <= atMs) break;
      heap[place] = above;
      place = parent;
    }
    heap[place] = event;
    return event;
  }

  /** The time of the next event that was not canceled; undefined when there is none. */
  nextAtMs(): number | undefined {
    while (this.#heap.length > 0 && this.#heap[0]?.work === undefined) this.#removeFirst();
    return this.#heap[0]?.atMs;
  }

  /** Takes the next event; call nextAtMs() before. */
  take(): QueuedEvent | undefined {
    return this.#removeFirst();
  }

  #removeFirst(): QueuedEvent | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (heap.length > 0 && last !== undefined) this.#sink(last);
    return first;
  }

  #sink(event: QueuedEvent): void {
    const heap = this.#heap;
    const { length } = heap;
    let place = 0;
    for (let child = 1; child < length; child = 2 * place + 1) {
      if (child + 1 < length && isBefore(heap[child + 1] as QueuedEvent, heap[child] as QueuedEvent)) child += 1;
      const below = heap[child] as QueuedEvent;
      if (isBefore(event, below)) break;
      heap[place] = below;
      place = child;
    }
    heap[place] = event;
  }
}

function isBefore(a: QueuedEvent, b: QueuedEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
