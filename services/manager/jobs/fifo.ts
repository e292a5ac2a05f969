/**
 * A first-in-first-out list whose members can leave from the middle.
 *
 * Pure. A doubly linked list: every operation takes constant time, which a
 * JavaScript array or Set does not give at ten thousand parked jobs.
 */

/** A place in a list; keep it to remove its value later. */
export interface FifoNode<T> {
  readonly value: T;
  previous: FifoNode<T> | undefined;
  next: FifoNode<T> | undefined;
}

export class Fifo<T> {
  #first: FifoNode<T> | undefined;
  #last: FifoNode<T> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The value that has been here longest. */
  get first(): T | undefined {
    return this.#first?.value;
  }

  push(value: T): FifoNode<T> {
    return this.append({ value, previous: undefined, next: undefined });
  }

  /** Puts a node at the end that is in no list: a new one, or one that was removed. */
  append(node: FifoNode<T>): FifoNode<T> {
    node.previous = this.#last;
    if (this.#last === undefined) this.#first = node;
    else this.#last.next = node;
    this.#last = node;
    this.#size += 1;
    return node;
  }

  /** Puts a value before all others, as one that comes back to its place. */
  unshift(value: T): FifoNode<T> {
    const node: FifoNode<T> = { value, previous: undefined, next: this.#first };
    if (this.#first === undefined) this.#last = node;
    else this.#first.previous = node;
    this.#first = node;
    this.#size += 1;
    return node;
  }

  /** Takes out a node of this list. Once per node. */
  remove(node: FifoNode<T>): void {
    if (node.previous === undefined) this.#first = node.next;
    else node.previous.next = node.next;
    if (node.next === undefined) this.#last = node.previous;
    else node.next.previous = node.previous;
    // a removed node that the collector has aged would keep alive all that came after it
    node.previous = undefined;
    node.next = undefined;
    this.#size -= 1;
  }

  shift(): T | undefined {
    const node = this.#first;
    if (node === undefined) return undefined;
    this.remove(node);
    return node.value;
  }

  /** From the oldest on. Nothing may be removed meanwhile. */
  *[Symbol.iterator](): Generator<T> {
    for (let node = this.#first; node !== undefined; node = node.next) yield node.value;
  }
}
