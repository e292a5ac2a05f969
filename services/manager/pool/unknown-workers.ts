/**
 * Replies of workers that this manager does not know, in a pool whose workers send heartbeats (sender.ts tells which).
 *
 * Decided here: who does not name itself is no worker. The reply of a name that was never heard is kept until a heartbeat of
 * it comes, which it is asked for: it may be a worker whose heartbeat is still on its way. When none comes, the reply
 * was a stranger's, and the one that has the job is still waited for.
 */
import { afterSilence, type Timer } from "../../../mesh/link/runtime.js";
import { encodeControl } from "../../../mesh/wire/control-messages.js";
import { isName } from "../../../mesh/wire/subjects.js";
import type { Dispatcher } from "../jobs/dispatcher.js";
import type { InquiryParts } from "./inquiries.js";

/** What they are kept with. */
export interface UnknownWorkersParts extends Pick<InquiryParts, "pool" | "bus" | "subjects"> {
  readonly dispatcher: () => Dispatcher;
}

/** How long a reply is kept: three heartbeats of a worker that does not say how often it sends one, in milliseconds. */
const KEEP_MS = 3_000;
/** Replies that are kept at once, of all workers, and their bytes. */
const MOST_REPLIES = 1_000;
const MOST_BYTES = 16 * 2 ** 20;

interface Kept {
  readonly replies: (() => void)[];
  readonly limit: Timer;
  bytes: number;
}

export class UnknownWorkers {
  readonly #parts: UnknownWorkersParts;
  /** By worker. */
  readonly #kept = new Map<string, Kept>();
  #replies = 0;
  #bytes = 0;

  constructor(parts: UnknownWorkersParts) {
    this.#parts = parts;
  }

  /** Keeps a reply that cannot be heard now. @param hear called when its worker has said that it is there */
  keep(worker: string | undefined, bytes: number, hear: () => void): void {
    const isFull = this.#replies >= MOST_REPLIES || this.#bytes + bytes > MOST_BYTES;
    if (worker === undefined || !isName(worker) || isFull) return this.#parts.dispatcher().onStranger();
    const kept = this.#kept.get(worker) ?? this.#ask(worker);
    kept.replies.push(hear);
    kept.bytes += bytes;
    this.#replies += 1;
    this.#bytes += bytes;
  }

  /** A worker has said that it is there. */
  onHeartbeat(worker: string): void {
    for (const hear of this.#forget(worker)) hear();
  }

  stop(): void {
    for (const worker of [...this.#kept.keys()]) this.#forget(worker);
  }

  #ask(worker: string): Kept {
    const { bus, subjects, pool, dispatcher } = this.#parts;
    const onSilence = (): void => {
      for (const _ of this.#forget(worker)) dispatcher().onStranger();
    };
    const kept = { replies: [], limit: afterSilence(bus.runtime, KEEP_MS, onSilence), bytes: 0 };
    this.#kept.set(worker, kept);
    bus.publish(subjects.control(pool, worker), encodeControl("rollCall", {}));
    return kept;
  }

  #forget(worker: string): readonly (() => void)[] {
    const kept = this.#kept.get(worker);
    if (kept === undefined) return [];
    this.#kept.delete(worker);
    this.#parts.bus.runtime.cancel(kept.limit);
    this.#replies -= kept.replies.length;
    this.#bytes -= kept.bytes;
    return kept.replies;
  }
}
