/**
 * Watches the managers that have a client's jobs, so that the death of one is
 * heard at once and not at the deadline; and finds those that are awake, when one
 * says nothing.
 */
import { json } from "../mesh/job/codec.js";
import type { Bus } from "../mesh/link/bus.js";
import type { Inbox } from "../mesh/link/inbox.js";
import { Presence } from "../mesh/link/presence.js";
import { isName, SERVICE_NAMES, servicePing } from "../mesh/wire/subjects.js";
import type { Reply } from "../mesh/wire/wire-headers.js";

/** How long managers have to say that they are awake, and how long their word counts, in milliseconds. */
const ROLL_CALL_MS = 1_000;
const AWAKE_FOR_MS = 3_000;
/** So many of them are remembered. */
const MAX_AWAKE = 64;

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
  readonly #inbox: Inbox;
  /** Managers that answered a roll call, and when. */
  readonly #awakeAtMs = new Map<string, number>();

  constructor(bus: Bus, inbox: Inbox, listener: ManagersListener) {
    this.#bus = bus;
    this.#inbox = inbox;
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

  /** Asks all managers whether they are awake. @param onAwake hears of each that answers */
  callRoll(onAwake?: (manager: string) => void): void {
    const question = { subject: servicePing(SERVICE_NAMES.manager), limitMs: ROLL_CALL_MS };
    this.#forgetOld(this.#bus.runtime.now());
    void this.#inbox.askAll(question, (msg) => {
      const { id } = pongOf(msg);
      if (typeof id !== "string" || !isName(id)) return;
      if (this.#awakeAtMs.size >= MAX_AWAKE && !this.#awakeAtMs.has(id)) return;
      this.#awakeAtMs.set(id, this.#bus.runtime.now());
      onAwake?.(id);
    });
  }

  /** One of the managers that answered the last roll call; undefined when none did. */
  pickAwake(nowMs: number): string | undefined {
    this.#forgetOld(nowMs);
    const awake = [...this.#awakeAtMs.keys()];
    return awake[Math.floor(this.#bus.runtime.random() * awake.length)];
  }

  /** It does not take jobs of this pool, or has left since. */
  isNotAwake(manager: string): void {
    this.#awakeAtMs.delete(manager);
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

  #forgetOld(nowMs: number): void {
    for (const [manager, atMs] of this.#awakeAtMs) if (nowMs - atMs > AWAKE_FOR_MS) this.#awakeAtMs.delete(manager);
  }

  /** A manager that was started again under its id does not have what the earlier process had. */
  #onPresent(manager: string, reply: Reply): void {
    const watched = this.#watched.get(manager);
    if (watched === undefined) return;
    const incarnation = pongOf(reply).metadata?.incarnation;
    const before = watched.incarnation;
    watched.presentAtMs = this.#bus.runtime.now();
    watched.incarnation = incarnation;
    if (before !== undefined && incarnation !== before) this.#listener.onRestarted(manager);
  }
}

/** What a service says when it is pinged, as far as it is read here. */
interface Pong {
  readonly id?: unknown;
  readonly metadata?: { readonly incarnation?: string };
}

function pongOf(reply: Reply): Pong {
  try {
    return (json.decode(reply.data) ?? {}) as Pong;
  } catch {
    return {};
  }
}
