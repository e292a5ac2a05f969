/**
 * Watches the managers that have a client's jobs, so that the death of one is
 * heard at once and not at the deadline.
 */

import { json } from "../mesh/job/codec.js";
import type { Bus } from "../mesh/link/bus.js";
import type { Inbox } from "../mesh/link/inbox.js";
import { Presence } from "../mesh/link/presence.js";
import { SERVICE_NAMES, servicePing } from "../mesh/wire/subjects.js";
import type { Reply } from "../mesh/wire/wire-headers.js";

interface Watched {
  /** When it answered last, or when watching began; monotonic milliseconds. */
  presentAtMs: number;
  /** Of its process, once it has answered. */
  incarnation: string | undefined;
}

/** Who hears of it. */
export interface ManagersListener {
  /** It is gone, and what it had. */
  onGone(manager: string): void;
  /** Another process has its id: what was given to it earlier may be gone. */
  onRestarted(manager: string): void;
}

export class Managers {
  readonly #bus: Bus;
  readonly #listener: ManagersListener;
  readonly #presence: Presence;
  readonly #watched = new Map<string, Watched>();

  constructor(bus: Bus, inbox: Inbox, listener: ManagersListener) {
    this.#bus = bus;
    this.#listener = listener;
    this.#presence = new Presence({
      bus,
      inbox,
      question: (manager) => ({ subject: servicePing(SERVICE_NAMES.manager, manager) }),
      onPresent: (manager, reply) => this.#onPresent(manager, reply),
      onGone: (manager) => listener.onGone(manager),
    });
  }

  /** Watches a manager, or does not any more. */
  watch(manager: string, watched: boolean): void {
    if (watched) this.#watched.set(manager, { presentAtMs: this.#bus.runtime.now(), incarnation: undefined });
    else {
      this.#watched.delete(manager);
      this.#presence.forget(manager);
    }
  }

  onReconnect(nowMs: number): void {
    this.#presence.onReconnect(nowMs);
  }

  tick(nowMs: number): void {
    for (const [manager, { presentAtMs }] of this.#watched) this.#presence.check(manager, nowMs - presentAtMs, nowMs);
  }

  stop(): void {
    this.#presence.stop();
  }

  /** A manager that was started again under its id does not have what the earlier process had. */
  #onPresent(manager: string, reply: Reply): void {
    const watched = this.#watched.get(manager);
    if (watched === undefined) return;
    const incarnation = incarnationOf(reply);
    const before = watched.incarnation;
    watched.presentAtMs = this.#bus.runtime.now();
    watched.incarnation = incarnation;
    if (before !== undefined && incarnation !== before) this.#listener.onRestarted(manager);
  }
}

/** Which process of a manager answers a ping; undefined when it does not say. */
function incarnationOf(reply: Reply): string | undefined {
  try {
    const { metadata } = json.decode(reply.data) as { metadata?: { incarnation?: string } };
    return metadata?.incarnation;
  } catch {
    return undefined;
  }
}
