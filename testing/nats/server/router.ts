/**
 * Who gets a message at one broker.
 *
 * The rules are nats-server's: every plain subscriber gets it; of each queue
 * group one member, picked by chance among the local ones and those of the other
 * brokers together; a message that came from another broker goes to local ones
 * only, and back out for a queue group whose last local member has just left.
 */
import type { World } from "../../sim/world.js";
import type { Message } from "../wire/commands.js";
import { Interest } from "./interest.js";
import type { Route, Subscriber } from "./route.js";

/** Interest of one broker, and the choice of receivers. */
export class Router {
  readonly #world: World;
  readonly #interest = new Interest<Subscriber>();

  constructor(world: World) {
    this.#world = world;
  }

  add(subscriber: Subscriber): void {
    this.#interest.add(subscriber);
  }

  remove(subscriber: Subscriber): void {
    this.#interest.remove(subscriber);
  }

  /**
   * Gives a message to whom it concerns; says whether anybody was there.
   *
   * @param fromRoute whether another broker passed it on
   * @param queues the queue groups that the other broker chose a member of ours for
   */
  route(message: Message, fromRoute = false, queues: readonly string[] = []): boolean {
    const nodes = [...this.#interest.match(message.to ?? message.subject)];
    const targets: Targets = new Map();
    let delivered = false;
    for (const node of nodes) {
      for (const each of [...node.plain]) {
        if (each.route === undefined) delivered = each.deliver(message) || delivered;
        else if (!fromRoute) target(targets, each.route);
      }
    }
    for (const [queue, members] of groupsOf(nodes)) {
      if (fromRoute && !queues.includes(queue)) continue;
      delivered = this.#toOne(members, message, fromRoute, targets) || delivered;
    }
    for (const [route, chosen] of targets) delivered = route.pass(message, chosen) || delivered;
    return delivered;
  }

  #toOne(members: readonly Subscriber[], message: Message, fromRoute: boolean, targets: Targets): boolean {
    const candidates = fromRoute ? members.filter((each) => each.route === undefined) : members;
    const first = this.#pick(candidates);
    for (let i = 0; i < candidates.length; i += 1) {
      const each = candidates[(first + i) % candidates.length] as Subscriber;
      if (each.route !== undefined) {
        target(targets, each.route, each.queue);
        return false;
      }
      if (each.deliver(message)) return true;
    }
    const elsewhere = fromRoute ? members.find((each) => each.route !== undefined) : undefined;
    if (elsewhere?.route !== undefined) target(targets, elsewhere.route, elsewhere.queue);
    return false;
  }

  /** The place of a candidate, by chance in proportion to weights. */
  #pick(candidates: readonly Subscriber[]): number {
    if (candidates.length < 2) return 0;
    let total = 0;
    for (const each of candidates) total += each.weight ?? 1;
    let at = Math.floor(this.#world.random() * total);
    for (const [i, each] of candidates.entries()) {
      at -= each.weight ?? 1;
      if (at < 0) return i;
    }
    return candidates.length - 1;
  }
}

/** Brokers that get the message once, each with the queue groups that it has to pick a member of. */
type Targets = Map<Route, string[]>;

function target(targets: Targets, route: Route, queue?: string): void {
  const queues = targets.get(route) ?? [];
  if (queue !== undefined) queues.push(queue);
  targets.set(route, queues);
}

type Node = { readonly plain: Subscriber[]; readonly groups: Map<string, Subscriber[]> };

/** Members by queue group; a group that listens by several patterns is one. */
function groupsOf(nodes: readonly Node[]): Iterable<[string, readonly Subscriber[]]> {
  if (nodes.length === 1) return (nodes[0] as Node).groups;
  const groups = new Map<string, Subscriber[]>();
  for (const node of nodes) {
    for (const [queue, members] of node.groups) groups.set(queue, [...(groups.get(queue) ?? []), ...members]);
  }
  return groups;
}
