/**
 * Who listens to what at one broker: an exact map first, a tree of tokens for wildcards.
 */
import { endOfToken, hasWildcard } from "./subject-match.js";

/** What interest needs to know of a subscriber. */
export interface Listed {
  readonly subject: string;
  readonly queue: string | undefined;
}

/** Subscribers of one subject or pattern. */
export interface Listeners<S> {
  readonly plain: S[];
  readonly groups: Map<string, S[]>;
}

class TreeNode<S> implements Listeners<S> {
  readonly plain: S[] = [];
  readonly groups = new Map<string, S[]>();
  readonly next = new Map<string, TreeNode<S>>();
  any: TreeNode<S> | undefined;
  rest: TreeNode<S> | undefined;
}

/** Subscribers by subject. */
export class Interest<S extends Listed> {
  readonly #exact = new Map<string, TreeNode<S>>();
  readonly #root = new TreeNode<S>();
  #hasWildcards = false;
  readonly #found: TreeNode<S>[] = [];

  add(subscriber: S): void {
    const node = this.#nodeOf(subscriber.subject);
    const { queue } = subscriber;
    if (queue === undefined) {
      node.plain.push(subscriber);
      return;
    }
    const group = node.groups.get(queue);
    if (group === undefined) node.groups.set(queue, [subscriber]);
    else group.push(subscriber);
  }

  remove(subscriber: S): void {
    const { subject, queue } = subscriber;
    const node = this.#nodeOf(subject);
    const list = queue === undefined ? node.plain : node.groups.get(queue);
    const at = list?.indexOf(subscriber) ?? -1;
    if (list === undefined || at === -1) return;
    list.splice(at, 1);
    if (queue !== undefined && list.length === 0) node.groups.delete(queue);
    if (node.plain.length === 0 && node.groups.size === 0) this.#exact.delete(subject);
  }

  /** Whom a literal subject concerns. The array is used again by the next call. */
  match(subject: string): readonly Listeners<S>[] {
    const found = this.#found;
    found.length = 0;
    const exact = this.#exact.get(subject);
    if (exact !== undefined) found.push(exact);
    if (this.#hasWildcards) this.#walk(this.#root, subject, 0);
    return found;
  }

  #walk(node: TreeNode<S>, subject: string, from: number): void {
    if (from > subject.length) {
      if (hasListeners(node)) this.#found.push(node);
      return;
    }
    if (node.rest !== undefined && hasListeners(node.rest)) this.#found.push(node.rest);
    const to = endOfToken(subject, from);
    const next = node.next.size === 0 ? undefined : node.next.get(subject.slice(from, to));
    if (next !== undefined) this.#walk(next, subject, to + 1);
    if (node.any !== undefined) this.#walk(node.any, subject, to + 1);
  }

  #nodeOf(subject: string): TreeNode<S> {
    if (hasWildcard(subject)) return this.#treeNodeOf(subject);
    let node = this.#exact.get(subject);
    if (node === undefined) {
      node = new TreeNode();
      this.#exact.set(subject, node);
    }
    return node;
  }

  #treeNodeOf(subject: string): TreeNode<S> {
    this.#hasWildcards = true;
    let node = this.#root;
    const tokens = subject.split(".");
    for (const [i, token] of tokens.entries()) {
      if (token === ">" && i === tokens.length - 1) node = node.rest ??= new TreeNode();
      else if (token === "*") node = node.any ??= new TreeNode();
      else node = childOf(node, token);
    }
    return node;
  }
}

function childOf<S>(node: TreeNode<S>, token: string): TreeNode<S> {
  let child = node.next.get(token);
  if (child === undefined) {
    child = new TreeNode();
    node.next.set(token, child);
  }
  return child;
}

function hasListeners<S>(node: TreeNode<S>): boolean {
  return node.plain.length > 0 || node.groups.size > 0;
}
