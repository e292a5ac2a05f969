/**
 * Watches the managers that have a client's jobs, so that the death of one is
 * heard at once and not at the deadline.
 *
 * A manager that has our jobs is asked for a sign of life every 250 ms; nobody
 * at its address twice, 300 ms apart, while our own connection is stable, means
 * that it is gone.
 */
import type { Bus } from "../mesh/link/bus.js";
import type { Inbox } from "../mesh/link/inbox.js";
import { json } from "../mesh/wire/codec.js";
import { isNoResponders, type Reply } from "../mesh/wire/reply.js";
import { SERVICE_NAMES, servicePing } from "../mesh/wire/subjects.js";

const PROBE_EVERY_MS = 250;
const CONFIRM_AFTER_MS = 300;
const STABLE_AFTER_MS = 3_000;

interface Watched {
  jobs: number;
  nextProbeAt: number;
  absentAt: number | undefined;
  token: string | undefined;
  /** Of its process, once it has answered. */
  incarnation: string | undefined;
}

/** Who hears of it. */
export interface ManagerWatchListener {
  /** It is gone, and what it had. */
  onGone(manager: string): void;
  /** Another process has its id: what was given to it earlier may be gone. */
  onRestarted(manager: string): void;
}

export class ManagerWatch {
  readonly #bus: Bus;
  readonly #inbox: Inbox;
  readonly #hears: ManagerWatchListener;
  readonly #watched = new Map<string, Watched>();
  #stableFrom = 0;

  constructor(bus: Bus, inbox: Inbox, hears: ManagerWatchListener) {
    this.#bus = bus;
    this.#inbox = inbox;
    this.#hears = hears;
  }

  /** One more of our jobs is at this manager. */
  add(manager: string, now: number): void {
    const watched = this.#watched.get(manager);
    if (watched !== undefined) watched.jobs += 1;
    else
      this.#watched.set(manager, {
        jobs: 1,
        nextProbeAt: now + PROBE_EVERY_MS,
        absentAt: undefined,
        token: undefined,
        incarnation: undefined,
      });
  }

  remove(manager: string): void {
    const watched = this.#watched.get(manager);
    if (watched === undefined) return;
    watched.jobs -= 1;
    if (watched.jobs > 0) return;
    this.#close(watched);
    this.#watched.delete(manager);
  }

  /** After our own reconnect nobody is judged for three seconds. */
  onReconnect(now: number): void {
    this.#stableFrom = now + STABLE_AFTER_MS;
    for (const watched of this.#watched.values()) watched.absentAt = undefined;
  }

  tick(now: number): void {
    for (const [manager, watched] of this.#watched) {
      if (now >= watched.nextProbeAt && this.#bus.connected) this.#probe(manager, watched, now);
    }
  }

  #probe(manager: string, watched: Watched, now: number): void {
    this.#close(watched);
    watched.nextProbeAt = now + PROBE_EVERY_MS;
    const token = this.#inbox.open({
      onReply: (msg) => {
        this.#close(watched);
        if (isNoResponders(msg)) this.#onAbsent(manager, watched);
        else this.#onPresent(manager, watched, msg);
      },
    });
    watched.token = token;
    this.#bus.publish(servicePing(SERVICE_NAMES.manager, manager), undefined, { reply: this.#inbox.subject(token) });
  }

  /** One that was started again under its id does not have what the earlier one had. */
  #onPresent(manager: string, watched: Watched, msg: Reply): void {
    watched.absentAt = undefined;
    const incarnation = incarnationOf(msg);
    const before = watched.incarnation;
    watched.incarnation = incarnation;
    if (before !== undefined && incarnation !== before) this.#hears.onRestarted(manager);
  }

  #onAbsent(manager: string, watched: Watched): void {
    const now = this.#bus.runtime.now();
    if (now < this.#stableFrom) return;
    if (watched.absentAt === undefined) {
      watched.absentAt = now;
      watched.nextProbeAt = now + CONFIRM_AFTER_MS;
    } else if (now - watched.absentAt >= CONFIRM_AFTER_MS) this.#hears.onGone(manager);
  }

  #close(watched: Watched): void {
    if (watched.token !== undefined) this.#inbox.close(watched.token);
    watched.token = undefined;
  }
}

/** Which process of a manager answers a ping; undefined when it does not say. */
function incarnationOf(msg: Reply): string | undefined {
  try {
    const { metadata } = json.decode(msg.data) as { metadata?: { incarnation?: string } };
    return metadata?.incarnation;
  } catch {
    return undefined;
  }
}
